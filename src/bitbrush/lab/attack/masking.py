"""Whether an attack's gradients are masked: what in the results of a folder speaks for it."""

from __future__ import annotations

from collections.abc import Sequence

from ...shares import wilson
from .summary import Rate, Row, controls, summarise


def signs_of_masking(rows: Sequence[Row], loss: str) -> list[str]:
    """What in the results speaks for masked gradients, a line each; empty where nothing does.

    Args:
        loss: of our attack.
    Source: the list of Athalye et al. 2018, section 3.1, as far as a folder of pictures tells.
    """
    made, signs = summarise(rows), []
    ours = made["ours"].success

    def more(name: str, than: Rate) -> bool:
        return name in made and made[name].success.hits > than.hits

    for name in ("noise", "square"):
        if more(name, ours):
            signs.append(f"{name}, which takes no gradient, succeeds more often than ours")
    if "pgd" in made and more("fgsm", made["pgd"].success):
        signs.append("one step (fgsm) succeeds more often than many (pgd)")
    return signs + (_of_controls(rows, f"loss {loss}") if rows[0]["controls"] else [])


def _of_controls(rows: Sequence[Row], plain: str) -> list[str]:
    """Args:
    plain: the control that is our attack with nothing changed.
    """
    told = {name: [row["controls"][name] for row in rows] for name in rows[0]["controls"]}
    reached = {name: [one["success"] for one in all_] for name, all_ in told.items()}
    first = [one["success"] and one["restart"] == 0 for one in told[plain]]
    signs = []
    if _clearly_more(reached[plain], first):
        signs.append("random restarts succeed where the first try does not")
    for name, control in controls(rows).items():
        if "budget" in name:
            if control.all.hits < control.all.count:
                signs.append(f"with {name} some pictures still resist")
        elif _clearly_more(reached[name], reached[plain]):
            signs.append(f"{name} succeeds clearly more often than ours")
        if control.blocked > 0.01:
            signs.append(f"{name}: {control.blocked:.0%} of the gradients are 0 everywhere")
    return signs


def _clearly_more(one: Sequence[bool], other: Sequence[bool]) -> bool:
    """Whether, of the pictures on which the two differ, the first has more than half.

    By the 95 % interval of its share: pairs tell more than two rates, since both are of the same
    pictures.
    """
    ahead = [mine for mine, theirs in zip(one, other, strict=True) if mine != theirs]
    return bool(ahead) and wilson(sum(ahead), len(ahead))[0] > 0.5


def not_tested(rows: Sequence[Row]) -> list[str]:
    """Signs of masking that these results cannot show, because nothing looked for them."""
    made = rows[0]["attacks"]
    missing = [name for name in ("noise", "square") if name not in made]
    if "fgsm" not in made or "pgd" not in made:
        missing.append("one step against many")
    if not rows[0]["controls"]:
        missing.append("estimators, losses, restarts and a wider budget (--controls)")
    return missing
