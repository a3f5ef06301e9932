"""Lesson 6: all networks on the same pairs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ...weights.loading import find_default, where_weights
from ..frontier import Comparison, compared, overlap, ratio
from ..frontiers import frontiers_of, reference_cells
from ..plan import Cell
from ..report import Figure, Findings, Table, Verdict
from ..report.plots import curves
from ..report.verdicts import all_or_none, opposite
from ..rows import Row, Value, mean_of_ratios, middle, over_pairs
from . import Lesson, Request

BASE = "quickbrush"
"""What the others are compared with, where it is among them."""

SIZES = (
    ("quicknet", "quicknet-large", "quicknet-xl"),
    ("quicknet-v1-small", "quicknet-v1", "quicknet-v1-large"),
)
"""Families of QuickNets, from small to large."""


def cells(request: Request) -> list[Cell]:
    """The frontier of every network on every pair."""
    return [cell for network in request.networks for cell in reference_cells(request, network)]


def _style_against(
    one: str, other: str, request: Request, rows: Sequence[Row]
) -> Comparison | None:
    """Style distance at equal content over another network's, with its interval."""
    frontiers = frontiers_of(rows)
    ratios = []
    for sources in request.sources:
        pair = frontiers.get((one, sources)), frontiers.get((other, sources))
        if pair[0] and pair[1] and overlap(pair[0], pair[1]):
            ratios.append(ratio(pair[0], pair[1]))
    return compared(ratios) if ratios else None


def findings(request: Request, rows: Sequence[Row]) -> Findings:
    """One line for each network, and the article's claims."""
    base = request.named(BASE) or next(iter(request.networks), BASE)
    lines: list[list[str | float | None]] = []
    series: dict[str, list[tuple[float, float]]] = {}
    for network, by in request.networks.items():
        own = [row for row in rows if row.fact("network") == network]
        seconds = middle(own, lambda row: row.found["seconds"] / max(row.found["steps"], 1))
        size = None if by.file is None else by.file.stat().st_size
        style = _style_against(network, base, request, rows)
        lines.append(
            [
                network,
                by.spec.kind,
                None if style is None else style.text(),
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
        if request.seen:
            seen = request.seen.get(network)
            lines[-1].append(None if seen is None else seen.text(seen.top1))
        for row in own:
            if row.distances is not None:
                point = (row.distances.content, row.distances.style)
                series.setdefault(network, []).append(point)
    header = ["network", "activations", f"style at equal content, over {base}"]
    header += ["style distance", "content distance", "grid", "noise", "chroma noise"]
    header += ["ms a step", "peak MB", "file, MB", "published top-1, %"]
    note = (
        "Over all pairs and content weights: medians, of the grid index the geometric mean. Style "
        "at equal content with its 95 % interval over pairs."
    )
    if request.seen:
        header.append("top-1 measured here")
        # All of them saw the same pictures.
        pictures = next(iter(request.seen.values())).pictures
        note += f" Top-1 measured on {pictures} pictures, with its 95 % interval."
    return Findings(
        [_verdict(claim, request, rows) for claim in _claims(request)],
        [Table("Networks", header, lines, note)],
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


@dataclass(frozen=True)
class Claim:
    """What the article says of networks beside others.

    Attributes:
        text: as one sentence.
        steps: names of networks, each with that of the one it is compared with.
        figure, of: what there is more or less of, beside the style.
        more: whether the first of two has a stronger style and more of the figure, or less of both.
    """

    text: str
    steps: Sequence[tuple[str, str]]
    figure: str
    of: Value
    more: bool


def _claims(request: Request) -> list[Claim]:
    than = next((n for n in ("quicknet", "quicknet-v1", BASE) if request.named(n)), BASE)
    found = [
        Claim(
            f"{name} has fewer artefacts than {than}, and a weaker style.",
            [(name, than)],
            "artefacts (grid index times noise)",
            _artefacts,
            more=False,
        )
        for name in ("dorefanet", "xnornet")
    ]
    larger = "Larger QuickNets stylise more strongly, with more blocks."
    return [*found, Claim(larger, _sizes(request), "grid index", _grid, more=True)]


def _grid(row: Row) -> float | None:
    return row.grid_against_style


def _artefacts(row: Row) -> float | None:
    grid = row.grid_against_style
    return None if grid is None else grid * row.noise_beyond_style


def _sizes(request: Request) -> list[tuple[str, str]]:
    """Every size that painted with the next smaller one of its family, or the usual two."""
    found: list[tuple[str, str]] = []
    for sizes in SIZES:
        there = [name for name in sizes if request.named(name)]
        found += zip(there[1:], there, strict=False)
    return found or [(SIZES[0][1], SIZES[0][0])]


def _verdict(claim: Claim, request: Request, rows: Sequence[Row]) -> Verdict:
    names = list(dict.fromkeys(name for step in claim.steps for name in step))
    missing = [name for name in names if request.named(name) is None]
    command = _command(names, request)
    if missing:
        return Verdict(claim.text, "not tested", _why(missing), command)
    holds: dict[str, bool | None] = {}
    told: dict[str, str] = {}
    titles = []
    for step in claim.steps:
        one, other = (request.named(name) or name for name in step)
        titles.append(f"{one} against {other}")
        style = _style_against(one, other, request, rows)
        own, others = ([r for r in rows if r.fact("network") == each] for each in (one, other))
        figures = over_pairs(own, others, claim.of)
        if style is not None and figures:
            change = compared(figures)
            holds[titles[-1]] = _is_so(claim, style, change)
            told[titles[-1]] = (
                f"style distance at equal content {style.text()} times, {claim.figure} at equal "
                f"content weights {change.text()} times"
            )
    return all_or_none(claim.text, titles, holds, told, command)


def _is_so(claim: Claim, style: Comparison, change: Comparison) -> bool | None:
    """None where one half of the claim is so and the other is not, or is undecided."""
    # Of the stronger style the distance is less.
    more = {opposite(style.is_above(1)), change.is_above(1)}
    both = more.pop() if len(more) == 1 else None
    return both if claim.more else opposite(both)


def _why(missing: Sequence[str]) -> str:
    """Why networks did not paint."""
    without = [name for name in missing if find_default(name) is None]
    if not without:
        return f"not among the networks that painted: {', '.join(missing)}"
    ways = "; ".join(f"{name} is {where_weights(name)}" for name in without)
    return f"no weights: {ways}, or train it with 'bitbrush train classifier'"


def _command(names: Sequence[str], request: Request) -> str:
    """What has all of them paint, after it has trained those that have no weights."""
    before, command = "", ["bitbrush", "lab", "networks"]
    for name in names:
        label = request.named(name)
        weights = "default" if label is None else request.networks[label].weights
        if label is None and find_default(name) is None:
            before += f"bitbrush train classifier {name} --data mini_imagenet.parquet --hours 2 "
            before += f"-o runs/{name} && "
            weights = f"runs/{name}/{name}.safetensors"
        command += ["--network", name if weights == "default" else f"{name}={weights}"]
    command += ["--content", "photos", "--style", "styles", "-o", "runs/networks"]
    return before + shlex.join(command)


LESSON = Lesson(
    "networks",
    "Networks side by side",
    "All networks on the same pairs: how near they come to a style, what they leave behind, and "
    "what that costs.",
    (),
    cells,
    findings,
)
