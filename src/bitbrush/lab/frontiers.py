"""Style distance at equal content distance, for the paintings of a laboratory.

Every network first paints each pair with its own settings and several content weights. A variant is
then measured against that frontier at the content distance it happens to have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .frontier import Frontier
from .lessons import Request
from .plan import Cell, Sources
from .rows import Row
from .widening import WEIGHTS

REFERENCE = "Reference: the network's own settings"
"""The sheet of a frontier's paintings."""

BEYOND = 1.05
"""A content distance so far beyond a frontier's end still counts as that end."""

Key = tuple[str, Sources]


def reference_cells(request: Request, network: str) -> list[Cell]:
    """The paintings of a network's frontiers."""
    return [
        reference_cell(request, network, sources, weight)
        for sources in request.sources
        for weight in WEIGHTS
    ]


def reference_cell(request: Request, network: str, sources: Sources, weight: float) -> Cell:
    """One of them, with that content weight."""
    return Cell(
        sources,
        request.settings(network, content_weight=weight),
        sheet=REFERENCE,
        row=f"{network}, {sources.name}",
        column=f"content weight {weight:g}",
        facts={"reference": True, "network": network},
    )


def frontiers_of(rows: Sequence[Row]) -> Mapping[Key, Frontier]:
    """By network and pair, from the reference rows that were judged."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        if row.fact("reference") and row.distances is not None:
            found.setdefault((row.fact("network"), row.cell.sources), []).append(row)
    return {
        key: Frontier.of([row.distances for row in own if row.distances is not None])
        for key, own in found.items()
    }


def against(row: Row, frontiers: Mapping[Key, Frontier]) -> float | None:
    """Style distance over the frontier's at the same content distance.

    Returns:
        below 1 the painting is better than the network's own settings; None where it was not
        judged, or lies beyond the frontier's ends.
    """
    frontier = frontiers.get((row.fact("network"), row.cell.sources))
    if frontier is None or row.distances is None:
        return None
    low, high = frontier.reach
    content = row.distances.content
    if not low / BEYOND <= content <= high * BEYOND:
        return None
    return row.distances.style / frontier.style_at(min(max(content, low), high))
