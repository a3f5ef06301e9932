"""Variants are measured against the frontier of the network's own settings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bitbrush.lab.frontiers import against, frontiers_of, reference_cells
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import Cell
from bitbrush.lab.rows import Row


def row(cell: Cell, style: float | None, content: float | None) -> Row:
    found = {"network": cell.settings["network"], "style_distance": style}
    return Row(cell, found | {"content_distance": content})


def test_against_the_own_frontier(make_request: Callable[..., Request]) -> None:
    request = make_request("quickbrush")
    cells = reference_cells(request, "quickbrush")
    # style = 0.1 / content, a power law as the frontier is between its points.
    contents = (1.0, 0.5, 0.25, 0.125)
    rows = [row(cell, 0.1 / c, c) for cell, c in zip(cells, contents, strict=True)]
    frontiers = frontiers_of(rows)
    settings = request.settings("quickbrush", tv_weight=1.0)
    variant = Cell(request.sources[0], settings, facts={"network": "quickbrush"})
    assert against(row(variant, 0.3, 0.4), frontiers) == pytest.approx(0.3 / (0.1 / 0.4))
    assert against(row(variant, 0.3, 2.0), frontiers) is None
    assert against(row(variant, 0.1, 1.01), frontiers) == pytest.approx(1.0)
    assert against(row(variant, None, None), frontiers) is None
    other = Cell(request.sources[0], settings, facts={"network": "quickbrush-small"})
    assert against(row(other, 0.3, 0.4), frontiers) is None
