"""Which paintings count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitbrush.lab.frontiers import frontiers_of
from bitbrush.lab.judge import Distances
from bitbrush.lab.plan import Cell, Sources
from bitbrush.lab.rows import Row, by_pair, middle, over_pairs

PAIRS = [Sources(Path(f"content{number}.png"), "style.png") for number in range(2)]


def row(pair: Sources, style: float, error: str | None = None, weight: float = 0.1) -> Row:
    cell = Cell(pair, {"content_weight": weight}, facts={"reference": True, "network": "one"})
    found: dict[str, Any] = {"style_distance": style, "content_distance": 1.0, "error": error}
    return Row(cell, found)


def test_a_painting_that_broke_off_is_no_result() -> None:
    good, broken = row(PAIRS[0], 0.5), row(PAIRS[1], 0.1, error="the loss is not a number")
    assert good.distances == Distances(0.5, 1.0) and broken.distances is None
    assert middle([good, broken], "style_distance") == 0.5
    assert over_pairs([good, broken], [good, broken], "style_distance") == [1.0]
    assert list(frontiers_of([good, broken])) == [("one", PAIRS[0])]


def test_paintings_of_a_pair_count_by_their_geometric_mean() -> None:
    rows = [row(PAIRS[0], 0.2), row(PAIRS[0], 0.8, weight=0.3), row(PAIRS[1], 0.0)]
    found = by_pair(rows, "style_distance")
    assert list(found) == PAIRS[:1] and abs(found[PAIRS[0]] - 0.4) < 1e-12
