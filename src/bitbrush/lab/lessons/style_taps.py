"""Lesson 3: what each layer listens to. One painting for every style tap, and no content weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import geometric_mean

from ..frontier import compared
from ..left_out import best, on_pairs_left_out
from ..plan import Cell, Sources
from ..report import Figure, Findings, Table, Verdict
from ..report.plots import curves
from ..report.verdicts import opposite, outcome
from ..rows import Row, by_pair, middle
from . import Lesson, Request, taps_of

INITS = ("noise", "content")

MOST = 0.5
"""Of the content's own distance to the style, what is left where most of the style was carried."""


def cells(request: Request) -> list[Cell]:
    """Every map of every network, from noise and from the content."""
    return [
        Cell(
            sources,
            # Colours are matched without the network, and would tell nothing of a layer.
            request.settings(
                network, style_taps=tap, init=init, content_weight=0.0, colour_weight=0.0
            ),
            sheet=f"{network}, from {init}",
            row=sources.name,
            column=tap,
            facts={"network": network, "tap": tap, "init": init},
        )
        for network, by in request.networks.items()
        for init in INITS
        for sources in request.sources
        for tap in taps_of(by.network)
    ]


def findings(request: Request, rows: Sequence[Row]) -> Findings:
    """How near each layer alone comes to the style, and what it leaves behind."""
    lines: list[list[str | float | None]] = []
    figures, verdicts = [], []
    for network, by in request.networks.items():
        series: dict[str, list[tuple[float, float]]] = {}
        taps = taps_of(by.network)
        left: dict[str, dict[Sources, float]] = {}
        for depth, tap in enumerate(taps):
            line: list[str | float | None] = [network, tap]
            for init in INITS:
                own = [
                    row
                    for row in rows
                    if (row.fact("network"), row.fact("tap"), row.fact("init"))
                    == (network, tap, init)
                ]
                if init == "content":
                    left[tap] = by_pair(own, "style_distance")
                style = middle(own, "style_distance")
                line += [style, middle(own, lambda row: row.grid_against_style)]
                line.append(middle(own, "noise"))
                if style is not None:
                    series.setdefault(f"from {init}", []).append((depth, style))
            lines.append(line)
        figures.append(
            Figure(
                f"{network}: style distance of one tap alone",
                curves(series, "tap, from the first to the deepest", "style distance", log_y=True),
                "Under the judge, 1 is as far from the style as the content is.",
            )
        )
        if not by.is_control:
            verdicts.append(_verdict(network, taps, left))
    header = ["network", "tap"]
    header += [f"{what}, from {init}" for init in INITS for what in ("style", "grid", "noise")]
    return Findings(verdicts, [Table("By tap", header, lines, "Medians over the pairs.")], figures)


def _verdict(
    network: str, taps: Sequence[str], left: Mapping[str, Mapping[Sources, float]]
) -> Verdict:
    """Whether one tap alone leaves less than half of the content's own distance to the style.

    Args:
        left: by tap and pair, of the paintings from the content.
    """
    claim = f"In {network}, one layer alone carries most of a style."
    # Where one tap is missing it may be the one.
    pairs = [pair for pair in left[taps[0]] if all(pair in left[tap] for tap in taps)]
    if not pairs:
        judged = Counter(pair for own in left.values() for pair in own)
        most = max(judged.values(), default=0)
        return Verdict(
            claim,
            "not tested",
            f"of no pair more than {most} of {len(taps)} taps were painted from the content and "
            "judged",
            "bitbrush lab style-taps …",
        )
    whole = {tap: {pair: left[tap][pair] for pair in pairs} for tap in taps}
    nearest = best(whole)
    told = f"{nearest}, the {taps.index(nearest) + 1}. of {len(taps)} taps, comes nearest from "
    told += f"the content: {geometric_mean(whole[nearest].values()):.2f} of the content's own "
    told += "distance is left"
    found = on_pairs_left_out(whole)
    if not found:
        return Verdict(claim, "mixed", f"{told} (one pair)")
    result = compared(found)
    told += f"; of what is nearest on the other pairs {result.text()}"
    return Verdict(claim, outcome(opposite(result.is_above(MOST))), told)


LESSON = Lesson(
    "style-taps",
    "What each layer listens to",
    "One painting for every style tap, with no content to keep: from noise, which shows a layer's "
    "idea of the texture, and from the content, which shows what it would change.",
    ("quickbrush",),
    cells,
    findings,
)
