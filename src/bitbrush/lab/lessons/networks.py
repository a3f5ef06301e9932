"""Lesson 6: all networks on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence

from ...weights.loading import find_default, where_weights
from ..frontier import compared, overlap, ratio
from ..frontiers import frontiers_of, reference_cells
from ..plan import Cell, Sources
from ..report import Figure, Findings, Table, Verdict
from ..report.findings import Outcome
from ..report.plots import curves
from ..rows import Row, Value, mean_of_ratios, middle
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
    return _told(ratios) if ratios else None


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
    style = _over_pairs(one, other, "style_distance", rows)
    grid = _over_pairs(one, other, lambda row: row.grid_against_style, rows)
    if not style or not grid:
        return Verdict(claim, "not tested", f"{one} and {other} share no judged pair", command)
    holds = {_is_above(style, -sign), _is_above(grid, sign)}
    outcome: Outcome = "mixed"
    if len(holds) == 1 and None not in holds:
        outcome = "confirmed" if True in holds else "refuted"
    told = f"{one}: style distance {_told(style)} and grid index {_told(grid)} times those of "
    told += f"{other}, at the same content weights; an interval that holds 1 decides nothing"
    return Verdict(claim, outcome, told)


def _over_pairs(one: str, other: str, of: str | Value, rows: Sequence[Row]) -> list[float]:
    """For every pair that both painted, a figure of the one over the other's."""
    found: dict[str, dict[Sources, list[Row]]] = {one: {}, other: {}}
    for row in rows:
        if row.fact("network") in found:
            found[row.fact("network")].setdefault(row.cell.sources, []).append(row)
    ratios = []
    for sources, own in found[one].items():
        pair = mean_of_ratios(own, of), mean_of_ratios(found[other].get(sources, []), of)
        if pair[0] and pair[1]:
            ratios.append(pair[0] / pair[1])
    return ratios


def _is_above(ratios: Sequence[float], sign: int) -> bool | None:
    """Whether ratios lie above 1 (sign 1) or below it (sign -1); None where both may be."""
    found = compared(ratios)
    if found.low <= 1 <= found.high:
        return None
    return (found.low > 1) == (sign > 0)


def _told(ratios: Sequence[float]) -> str:
    """The mean of ratios over pairs, with its interval."""
    found = compared(ratios)
    if len(ratios) == 1:
        return f"{found.mean:.2f} (one pair)"
    return f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f})"


LESSON = Lesson(
    "networks",
    "Networks side by side",
    "All networks on the same pairs: how near they come to a style, what they leave behind, and "
    "what that costs.",
    (),
    cells,
    findings,
)
