"""From networks to a verdict."""

from __future__ import annotations

import pytest

from bitbrush.lab.report.verdicts import all_or_none

TOLD = {"one": "1.0", "two": "2.0"}


@pytest.mark.parametrize(
    ("holds", "outcome"),
    [
        ({"one": True, "two": True}, "confirmed"),
        ({"one": False, "two": False}, "refuted"),
        ({"one": True, "two": False}, "mixed"),
        ({"one": True, "two": None}, "mixed"),
        ({"one": True}, "confirmed"),
        ({"one": False, "other": True}, "refuted"),
    ],
)
def test_all_networks_have_to_agree(holds: dict[str, bool | None], outcome: str) -> None:
    found = all_or_none("A claim.", ["one", "two"], holds, {n: TOLD.get(n, "") for n in holds}, "")
    assert found.outcome == outcome
    assert ("two: not compared" in found.evidence) == ("two" not in holds)


def test_the_reason_is_that_none_painted_or_that_none_can_be_compared() -> None:
    none = all_or_none("A claim.", [], {"other": True}, {}, "a command")
    unjudged = all_or_none("A claim.", ["one"], {}, {}, "a command")
    assert none.outcome == unjudged.outcome == "not tested"
    assert none.evidence.startswith("no weights") and "one: no paintings" in unjudged.evidence
    assert none.command == unjudged.command == "a command"
