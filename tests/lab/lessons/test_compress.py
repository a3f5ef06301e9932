"""The article's table says what was measured, with how sure that is."""

from __future__ import annotations

import dataclasses

from bitbrush.lab.accuracy import Accuracy
from bitbrush.lab.lessons.compress import Measured, findings


def test_the_first_and_the_first_five_answers_are_told() -> None:
    blind = Measured("squeezenet", "squeezenet", 1_235_496, 0.0, 4.7, 4.7, {"float": 8.0}, None)
    seeing = dataclasses.replace(blind, seen=Accuracy(pictures=125, top1=72, top5=100))
    (table,) = findings([seeing, blind]).tables
    first, five = (table.header.index(f"top-{n} measured here") for n in (1, 5))
    seen, unseen = table.rows
    assert (seen[first], seen[five]) == ("57.6 % (49 to 66)", "80.0 % (72 to 86)")
    assert unseen[first] is None and unseen[five] is None
    assert len(seen) == len(unseen) == len(table.header)
