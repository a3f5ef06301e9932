"""Lesson 3: what each layer listens to. One painting for every style tap, and no content weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..plan import Cell
from ..report import Figure, Findings, Table, Verdict
from ..report.plots import curves
from ..rows import Row, middle
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
        left: dict[str, float] = {}
        for depth, tap in enumerate(taps):
            line: list[str | float | None] = [network, tap]
            for init in INITS:
                own = [
                    row
                    for row in rows
                    if (row.fact("network"), row.fact("tap"), row.fact("init"))
                    == (network, tap, init)
                ]
                style = middle(own, "style_distance")
                line += [style, middle(own, lambda row: row.grid_against_style)]
                line.append(middle(own, "noise"))
                if style is not None:
                    series.setdefault(f"from {init}", []).append((depth, style))
                    if init == "content":
                        left[tap] = style
            lines.append(line)
        figures.append(
            Figure(
                f"{network}: style distance of one tap alone",
                curves(series, "tap, from the first to the deepest", "style distance", log_y=True),
                "Under the judge, 1 is as far from the style as the content is.",
            )
        )
        verdicts.append(_verdict(network, taps, left))
    header = ["network", "tap"]
    header += [f"{what}, from {init}" for init in INITS for what in ("style", "grid", "noise")]
    return Findings(verdicts, [Table("By tap", header, lines, "Medians over the pairs.")], figures)


def _verdict(network: str, taps: Sequence[str], left: Mapping[str, float]) -> Verdict:
    """Whether one tap alone leaves less than half of the content's own distance to the style.

    Args:
        left: by tap, of the paintings from the content.
    """
    claim = f"In {network}, one layer alone carries most of a style."
    if len(left) < len(taps):
        return Verdict(
            claim,
            "not tested",
            f"{len(left)} of {len(taps)} taps were painted from the content and judged",
            "bitbrush lab style-taps … without --budget",
        )
    nearest = min(left, key=lambda tap: left[tap])
    return Verdict(
        claim,
        "confirmed" if left[nearest] < MOST else "refuted",
        f"{nearest}, the {taps.index(nearest) + 1}. of {len(taps)} taps, comes nearest from the "
        f"content: {left[nearest]:.2f} of the content's own distance is left",
    )


LESSON = Lesson(
    "style-taps",
    "What each layer listens to",
    "One painting for every style tap, with no content to keep: from noise, which shows a layer's "
    "idea of the texture, and from the content, which shows what it would change.",
    ("quickbrush",),
    cells,
    findings,
)
