"""The article's table says what was measured, with how sure that is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bitbrush.lab.accuracy import Accuracy, labelled
from bitbrush.lab.contestants import contestant
from bitbrush.lab.lessons import compress
from bitbrush.lab.lessons.compress import Measured, findings, measured_once


def test_the_first_and_the_first_five_answers_are_told() -> None:
    blind = Measured("squeezenet", "squeezenet", 1_235_496, 0.0, 4.7, 4.7, {"float": 8.0}, None)
    seeing = dataclasses.replace(blind, seen=Accuracy(pictures=125, top1=72, top5=100))
    (table,) = findings([seeing, blind]).tables
    first, five = (table.header.index(f"top-{n} measured here") for n in (1, 5))
    seen, unseen = table.rows
    assert (seen[first], seen[five]) == ("57.6 % (49 to 66)", "80.0 % (72 to 86)")
    assert unseen[first] is None and unseen[five] is None
    assert len(seen) == len(unseen) == len(table.header)


def test_what_is_known_of_a_network_is_not_timed_again(
    classifier: Path, named_pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = contestant(f"squeezenet={classifier}")
    first = measured_once(tmp_path, by)
    monkeypatch.setattr(compress, "measure", lambda by: pytest.fail("timed again"))
    shares: list[float] = []
    seeing = measured_once(tmp_path, by, labelled(named_pictures), shares.append)
    assert seeing == dataclasses.replace(first, seen=Accuracy(pictures=2, top1=2, top5=2))
    assert shares == sorted(shares) and shares[-1] == 1
    assert measured_once(tmp_path, by) == first
