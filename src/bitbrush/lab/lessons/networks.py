"""Lesson 6: all networks on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence

from ...weights.loading import find_default, where_weights
from ..frontier import compared, overlap, ratio
from ..frontiers import frontiers_of, reference_cells
from ..plan import Cell
from ..report import Figure, Findings, Table, Verdict
from ..report.findings import Outcome
from ..report.plots import curves
from ..rows import Row, mean_of_ratios, middle, over_pairs
from . import Lesson, Request

BASE = "quickbrush"
"""What the others are compared with, where it is among them."""


def cells(request: Request) -> list[Cell]:
    """The frontier of every network on every pair."""
    return [cell for network in request.networks for cell in reference_cells(request, network)]


def _style_against(one: str, other: str, request: Request, rows: Sequence[Row]) -> str | None:
    """Style distance at equal content over another network's, with its interval."""
    frontiers = frontiers_of(rows)
    ratios = []
    for sources in request.sources:
        pair = frontiers.get((one, sources)), frontiers.get((other, sources))
        if pair[0] and pair[1] and overlap(pair[0], pair[1]):
            ratios.append(ratio(pair[0], pair[1]))
    return compared(ratios).text() if ratios else None


def findings(request: Request, rows: Sequence[Row]) -> Findings:
    """One line for each network, and the article's claims."""
    base = request.named(BASE) or next(iter(request.networks), BASE)
    lines: list[list[str | float | None]] = []
    series: dict[str, list[tuple[float, float]]] = {}
    for network, by in request.networks.items():
        own = [row for row in rows if row.fact("network") == network]
        seconds = middle(own, lambda row: row.found["seconds"] / max(row.found["steps"], 1))
        size = None if by.file is None else by.file.stat().st_size
        lines.append(
            [
                network,
                by.spec.kind,
                _style_against(network, base, request, rows),
                middle(own, "style_distance"),
                middle(own, "content_distance"),
                mean_of_ratios(own, lambda row: row.grid_against_style),
                middle(own, "noise"),
                middle(own, "chroma_noise"),
                None if seconds is None else 1000 * seconds,
                middle(own, "peak_mb"),
                None if size is None else size / 1e6,
                by.spec.top1 if by.is_published else None,
            ]
        )
        for row in own:
            if row.distances is not None:
                point = (row.distances.content, row.distances.style)
                series.setdefault(network, []).append(point)
    header = ["network", "activations", f"style at equal content, over {base}"]
    header += ["style distance", "content distance", "grid", "noise", "chroma noise"]
    header += ["ms a step", "peak MB", "file, MB", "published top-1, %"]
    return Findings(
        _claims(request, rows),
        [
            Table(
                "Networks",
                header,
                lines,
                "Over all pairs and content weights: medians, of the grid index the geometric "
                "mean. Style at equal content with its 95 % interval over pairs.",
            )
        ],
        [
            Figure(
                "Style against content distance",
                curves(
                    series,
                    "content distance",
                    "style distance",
                    log_y=True,
                    line=False,
                ),
                "A dot for each painting; further down and to the left is better.",
            )
        ],
    )


def _claims(request: Request, rows: Sequence[Row]) -> list[Verdict]:
    small, large = "quicknet", "quicknet-large"
    return [
        *(_milder(name, request, rows) for name in ("dorefanet", "xnornet")),
        _compared(
            "Larger QuickNets stylise more strongly, with more blocks.",
            large,
            small,
            request,
            rows,
            1,
        ),
    ]


def _milder(name: str, request: Request, rows: Sequence[Row]) -> Verdict:
    against = next((n for n in ("quicknet", "quicknet-v1", BASE) if request.named(n)), BASE)
    return _compared(
        f"{name} has fewer artefacts than {against}, and a weaker style.",
        name,
        against,
        request,
        rows,
        -1,
    )


def _compared(
    claim: str, name: str, than: str, request: Request, rows: Sequence[Row], sign: int
) -> Verdict:
    """Whether one network has a stronger style and more blocks (sign 1), or less of both (-1)."""
    command = f"bitbrush lab networks --network {name} --network {than} …"
    labels = [label for each in (name, than) if (label := request.named(each)) is not None]
    if len(labels) < 2:
        missing = [each for each in (name, than) if find_default(each) is None]
        reason = "these were not among the networks that painted"
        if missing:
            ways = "; ".join(f"{each} is {where_weights(each)}" for each in missing)
            reason = f"no weights: {ways}, or train it with 'bitbrush train classifier'"
        return Verdict(claim, "not tested", reason, command)
    one, other = labels
    ours, theirs = ([row for row in rows if row.fact("network") == each] for each in labels)
    styles = over_pairs(ours, theirs, "style_distance")
    grids = over_pairs(ours, theirs, lambda row: row.grid_against_style)
    if not styles or not grids:
        return Verdict(claim, "not tested", f"{one} and {other} share no judged pair", command)
    style, grid = compared(styles), compared(grids)
    # Of the stronger style the distance is less.
    as_claimed = (False, True) if sign > 0 else (True, False)
    found = (style.is_above(1), grid.is_above(1))
    outcome: Outcome = "mixed"
    if None not in found and (found[0] == as_claimed[0]) == (found[1] == as_claimed[1]):
        outcome = "confirmed" if found == as_claimed else "refuted"
    told = f"{one}: style distance {style.text()} and grid index {grid.text()} times those of "
    told += f"{other}, at the same content weights; an interval that holds 1 decides nothing"
    return Verdict(claim, outcome, told)


LESSON = Lesson(
    "networks",
    "Networks side by side",
    "All networks on the same pairs: how near they come to a style, what they leave behind, and "
    "what that costs.",
    (),
    cells,
    findings,
)
