"""What `bitbrush attack` prints: one picture's answers, or what a folder adds up to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .networks import make_table, show

if TYPE_CHECKING:
    from ..lab.attack.study import Plan
    from ..lab.attack.summary import Rate

Row = Mapping[str, Any]


def print_picture(row: Row, plan: Plan) -> None:
    """Top five before and after, what was used of the budget, and whether it succeeded."""
    from ..lab.attack.summary import attackable, wanted_before

    table = make_table(["before", "", "", "after", "", ""])
    for before, after in zip(row["before"], row["after"], strict=True):
        table.add_row(*_guess(before), *_guess(after))
    show(table)
    attacks = row["attacks"]
    # Where there was nothing to do, no attack has done it.
    compared = attacks if attackable([row], plan.target) else {}
    if len(compared) > 1:
        print()
        _attacks_of_one(compared)
    print()
    ours = attacks["ours"]
    result = "success" if ours["success"] else "no success"
    if not compared:
        result = "the picture has the wanted answer as it is"
    print(f"{result}: {_wanted(plan)}")
    print(f"changed by {_used(ours)}; allowed: {_allowed(plan)}")
    for network, made in row["transfer"].items():
        result = "deceived" if made["ours"] else "not deceived"
        if wanted_before(row, network, plan.target):
            result = "gives the wanted answer to the picture as it is"
        print(f"{network}, which was not attacked: {result}")
    if compared and row["controls"]:
        _print_controls([row])
        _print_signs([row], plan)


def print_folder(rows: Sequence[Row], plan: Plan, as_json: bool) -> None:
    """Success, confidence, transfer and controls.

    Raises:
        InputError: every picture had the wanted answer from the beginning.
    """
    from ..lab.attack.masking import not_tested, signs_of_masking
    from ..lab.attack.summary import attackable, controls, summarise, transferred

    left = attackable(rows, plan.target)
    if not left:
        raise InputError("the network gives every picture the wanted answer as it is")
    made = summarise(left)
    if as_json:
        told: dict[str, Any] = {
            "plan": plan.as_json(),
            "attacks": {name: one.as_json() for name, one in made.items()},
            "transfer": {
                network: {name: rate.as_json() for name, rate in rates.items()}
                for network, rates in transferred(left, plan.target).items()
            },
            "controls": {name: one.as_json() for name, one in controls(left).items()},
            "signs_of_masking": signs_of_masking(left, plan.settings.loss),
            "masking_not_tested": not_tested(left),
            "pictures": list(rows),
        }
        print(json.dumps(told, ensure_ascii=False))
        return
    print(f"{plan.network}, {len(left)} pictures, {_allowed(plan)}: {_wanted(plan)}")
    if len(left) < len(rows):
        print(f"{len(rows) - len(left)} more have the wanted answer as they are")
    _print_attacks(made)
    rates = transferred(left, plan.target)
    if rates:
        _print_transfer(rates)
    if plan.controls:
        _print_controls(left)
    if plan.against or plan.controls:
        _print_signs(left, plan)


def _guess(guess: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{guess['probability']:6.1%}", guess["wordnet_id"], guess["name"]


def _wanted(plan: Plan) -> str:
    from ..classify import imagenet_classes

    if plan.target is None:
        return "any answer but the network's own"
    wordnet_id, name = imagenet_classes()[plan.target]
    return f"{name} ({wordnet_id}) wanted"


def _allowed(plan: Plan) -> str:
    if plan.norm == "linf":
        return f"linf {_levels(plan.epsilon)}"
    return f"{plan.norm} {plan.epsilon:g}"


def _levels(share: float) -> str:
    return f"{share * 255:.3g}/255"


def _used(one: Mapping[str, Any]) -> str:
    parts = [f"linf {_levels(one['linf'])}", f"l2 {one['l2']:.2f}"]
    if one["content"] is not None:
        parts.append(f"content {one['content']:.3f}")
    return ", ".join(parts)


def _attacks_of_one(attacks: Mapping[str, Mapping[str, Any]]) -> None:
    from ..classify import imagenet_classes

    names = dict(imagenet_classes())
    table = make_table(["attack", "success", "answer", "probability", "s"], right=range(3, 5))
    for name, one in attacks.items():
        table.add_row(
            name,
            "yes" if one["success"] else "no",
            names[one["answer"]],
            f"{one['probability']:.1%}",
            f"{one['seconds']:.1f}",
        )
    show(table)


def _print_attacks(made: Mapping[str, Any]) -> None:
    titles = ["attack", "success", "of those right before", "confidence", "linf", "l2", "content"]
    table = make_table([*titles, "s"], right=range(1, 8))
    for name, one in made.items():
        table.add_row(
            name,
            one.success.text(),
            "" if one.right_before is None else one.right_before.text(),
            "" if one.confidence is None else f"{one.confidence:.2f}",
            _levels(one.linf),
            f"{one.l2:.2f}",
            "" if one.content is None else f"{one.content:.3f}",
            f"{one.seconds:.1f}",
        )
    show(table)


def _print_transfer(rates: Mapping[str, Mapping[str, Rate]]) -> None:
    attacks = list(next(iter(rates.values())))
    print()
    table = make_table(["shown to", *attacks], right=range(1, 1 + len(attacks)))
    for network, of_network in rates.items():
        table.add_row(network, *(rate.text() for rate in of_network.values()))
    show(table)


def _print_controls(rows: Sequence[Row]) -> None:
    from ..lab.attack.study import CONTROL_RESTARTS
    from ..lab.attack.summary import controls

    print()
    titles = ["control", "first try", f"{CONTROL_RESTARTS} tries", "steps", "gradients that are 0"]
    table = make_table(titles, right=range(1, 5))
    for name, one in controls(rows).items():
        table.add_row(
            name, one.first.text(), one.all.text(), f"{one.steps:.1f}", f"{one.blocked:.1%}"
        )
    show(table)


def _print_signs(rows: Sequence[Row], plan: Plan) -> None:
    from ..lab.attack.masking import not_tested, signs_of_masking

    print()
    signs, missing = signs_of_masking(rows, plan.settings.loss), not_tested(rows)
    print(f"Signs of masked gradients: {'; '.join(signs) or 'none'}")
    if missing:
        print(f"Not looked for: {', '.join(missing)}")
