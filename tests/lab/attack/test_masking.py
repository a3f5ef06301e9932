"""What in the results of attacks speaks for masked gradients, and what cannot be told from them."""

from __future__ import annotations

from typing import Any

from bitbrush.lab.attack.masking import not_tested, signs_of_masking

Tries = dict[str, list[int | None]]
"""For each control and picture the try that had it, from 0 on; None: no try had."""


def rows(tries: Tries, **attacks: list[bool]) -> list[dict[str, Any]]:
    """Of so many pictures, with the successes of the attacks given."""
    count = len(next(iter(attacks.values())))
    plain = {"label": None, "before": [{"wordnet_id": "n01440764"}]}
    spent = dict.fromkeys(("probability", "linf", "l2", "seconds"), 0.5) | {"content": None}
    return [
        {
            **plain,
            "attacks": {name: {"success": had[i], **spent} for name, had in attacks.items()},
            "controls": {
                name: {
                    "success": had[i] is not None,
                    "restart": had[i] or 0,
                    "steps": 1,
                    "blocked": 0,
                }
                for name, had in tries.items()
            },
        }
        for i in range(count)
    ]


HALF = [True] * 4 + [False] * 4


def signs(**changed: list[int | None]) -> list[str]:
    """Of an attack that has the first half of eight pictures, at once, beside other controls."""
    tries: Tries = {"loss margin": [0] * 4 + [None] * 4, "loss cross-entropy": [0] * 4 + [None] * 4}
    tries |= {name.replace("_", " "): had for name, had in changed.items()}
    return signs_of_masking(rows(tries, ours=HALF), "margin")


def test_another_estimator_or_loss_that_has_clearly_more_is_a_sign() -> None:
    assert signs() == []
    assert signs(estimator_ste=[0] * 8) == ["estimator ste succeeds clearly more often than ours"]
    # Some that the attack has not, at the price of some that it has; then too few to tell.
    assert signs(estimator_ste=[None, None, 0, 0, 0, 0, 0, 0]) == []
    assert signs(estimator_ste=[0] * 6 + [None] * 2) == []
    other = rows({"loss margin": [0] * 8, "loss cross-entropy": [None] * 8}, ours=[False] * 8)
    assert signs_of_masking(other, "margin") == []
    told = signs_of_masking(other, "cross-entropy")
    assert told == ["loss margin succeeds clearly more often than ours"]


def test_restarts_of_the_attack_itself_that_help_are_a_sign() -> None:
    none: list[int | None] = [None] * 4
    told = "random restarts succeed where the first try does not"
    tries: Tries = {"loss margin": [0] * 4 + [1, 2, 3, 1]}
    assert signs_of_masking(rows(tries, ours=HALF), "margin") == [told]
    # Those of another estimator say nothing of it.
    assert signs(estimator_identity=[1, 1, 1, 1, *none]) == []


def test_gradients_of_no_use_and_a_wider_budget_are_signs() -> None:
    assert signs(wider_budget=[0] * 7 + [None]) == ["with wider budget some pictures still resist"]
    assert signs(wider_budget=[0] * 8) == []
    told = signs_of_masking(rows({}, ours=HALF, noise=HALF, square=[True] * 5 + HALF[5:]), "margin")
    assert told == ["square, which takes no gradient, succeeds more often than ours"]


def test_what_nothing_looked_for_is_named() -> None:
    without = rows({}, ours=HALF)
    assert not_tested(without) == [
        "noise",
        "square",
        "one step against many",
        "estimators, losses, restarts and a wider budget (--controls)",
    ]
    tries: Tries = {"loss margin": [0] * 8}
    assert not_tested(rows(tries, ours=HALF, noise=HALF, fgsm=HALF, pgd=HALF, square=HALF)) == []
