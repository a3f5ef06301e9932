"""A gallery: every content in every style, by every network with its own settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..plan import Cell
from ..report import Findings, Table
from ..rows import Row, middle
from . import Lesson, Request


def cells(request: Request) -> list[Cell]:
    """A sheet for each network: contents in rows, styles in columns."""
    return [
        Cell(
            sources,
            request.settings(network),
            sheet=network,
            row=sources.content.stem,
            column=Path(sources.style).stem,
            facts={"network": network},
        )
        for network in request.networks
        for sources in request.sources
    ]


def findings(request: Request, rows: Sequence[Row]) -> Findings:
    """What was measured of each painting, and the middle of each network's."""
    figures = ["style distance", "content distance", "grid", "noise", "s", "peak MB"]
    networks: list[list[str | float | None]] = []
    for network in request.networks:
        own = [row for row in rows if row.fact("network") == network]
        networks.append([network, len(own), *_middles(own)])
    paintings: list[list[str | float | None]] = [
        [row.fact("network"), row.cell.row, row.cell.column, *_middles([row]), row.file]
        for row in rows
    ]
    return Findings(
        tables=[
            Table("Networks", ["network", "paintings", *figures], networks, "Medians."),
            Table("Paintings", ["network", "content", "style", *figures, "file"], paintings),
        ]
    )


def _middles(rows: Sequence[Row]) -> list[float | None]:
    grid = middle(rows, lambda row: row.grid_against_style)
    first = [middle(rows, name) for name in ("style_distance", "content_distance")]
    return [*first, grid, *(middle(rows, name) for name in ("noise", "seconds", "peak_mb"))]


LESSON = Lesson(
    "gallery",
    "Gallery",
    "Every content in every style, by networks with their own settings.",
    ("quickbrush",),
    cells,
    findings,
)
