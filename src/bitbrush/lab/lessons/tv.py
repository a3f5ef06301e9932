"""Lessons 2 and 2.5: how much total variation, from none to a million times too much."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import geometric_mean

from ...style.settings import PaintSettings
from ..frontier import Frontier, compared
from ..frontiers import Key, against, frontiers_of, reference_cells
from ..plan import Cell, Sources
from ..report import Figure, Findings, Table, Verdict
from ..report.plots import curves
from ..report.verdicts import all_or_none
from ..rows import Row, mean_of_ratios, middle
from . import Lesson, Request

USUAL = PaintSettings.tv_weight
TIMES = (0.0, 0.1, 1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6)
"""Of the usual weight. The last is the article's accident: 3·10³ where 3·10⁻³ was meant."""

ACCIDENT = "the article's accident: 10⁶ times the weight that was meant"

NEEDED = 1.05
"""A network needs total variation if none is this factor worse than the weight that is best on the
other pairs, in style distance at equal content or in noise beyond the style's; with the whole
interval over pairs."""


def cells(request: Request) -> list[Cell]:
    """Every network and weight, and the frontiers they are measured against."""
    found = [cell for network in request.networks for cell in reference_cells(request, network)]
    for network in request.networks:
        for sources in request.sources:
            for times in TIMES:
                found.append(
                    Cell(
                        sources,
                        request.settings(network, tv_weight=USUAL * times),
                        sheet="Total variation",
                        row=f"{network}, {sources.name}",
                        column=_name(times),
                        facts={"times": times, "network": network},
                    )
                )
    return found


def _name(times: float) -> str:
    if times == 0:
        return "none"
    return f"{USUAL * times:g}" + (" (the article's accident)" if times == TIMES[-1] else "")


def findings(request: Request, rows: Sequence[Row]) -> Findings:
    """Curves, the best weight of each network, and whether binary networks alone need it."""
    frontiers = frontiers_of(rows)
    lines: list[list[str | float | None]] = []
    curves_of: dict[str, dict[str, list[tuple[float, float]]]] = {"style": {}, "noise": {}}
    needs: dict[str, bool | None] = {}
    told: dict[str, str] = {}
    for network in request.networks:
        scores: dict[float, dict[Sources, float]] = {}
        for times in TIMES:
            own = [r for r in rows if r.fact("network") == network and r.fact("times") == times]
            style = mean_of_ratios(own, lambda row: against(row, frontiers))
            noise = middle(own, "noise")
            lines.append(
                [
                    network,
                    _name(times),
                    style,
                    middle(own, "style_distance"),
                    middle(own, "content_distance"),
                    noise,
                    middle(own, "chroma_noise"),
                    middle(own, lambda row: row.grid_against_style),
                ]
            )
            for title, value in (("style", style), ("noise", noise)):
                if value is not None:
                    points = curves_of[title].setdefault(network, [])
                    points.append((USUAL * times, value))
            scores[times] = _scores(own, frontiers)
        if scores[0.0]:
            needs[network], told[network] = _need(scores)
    marks = {"usual": USUAL, ACCIDENT: USUAL * TIMES[-1]}
    kinds = request.kinds()
    return Findings(
        verdicts=[
            all_or_none(
                "Binary networks need total variation.",
                {name: needs[name] for name in kinds["binary"] if name in needs},
                told,
                "bitbrush lab tv --network quickbrush …",
            ),
            all_or_none(
                "Float networks do not need it.",
                {
                    name: None if (need := needs[name]) is None else not need
                    for name in kinds["float"]
                    if name in needs
                },
                told,
                "bitbrush lab tv --network vgg19 …",
            ),
            _accident(rows),
        ],
        figures=[
            Figure(
                "Style distance at equal content distance",
                curves(
                    curves_of["style"],
                    "weight of total variation",
                    "1: the usual",
                    log_x=True,
                    marks=marks,
                ),
                "Over the network's own at the usual weight. Where a line ends, paintings lie "
                "beyond every content weight's content distance, and cannot be compared.",
            ),
            Figure(
                "Fine grain against the style's",
                curves(
                    curves_of["noise"],
                    "weight of total variation",
                    "noise index",
                    log_x=True,
                    log_y=True,
                    marks=marks,
                ),
            ),
        ],
        tables=[
            Table(
                "By weight",
                [
                    "network",
                    "weight",
                    "style at equal content",
                    "style distance",
                    "content distance",
                    "noise",
                    "chroma noise",
                    "grid",
                ],
                lines,
                "Medians over the pairs; style at equal content is a geometric mean.",
            )
        ],
    )


def _scores(own: Sequence[Row], frontiers: Mapping[Key, Frontier]) -> dict[Sources, float]:
    """By pair, style at equal content times what noise there is beyond the style's: less is better.

    Noise below the style's is no merit.
    """
    found = {}
    for row in own:
        style = against(row, frontiers)
        if style is not None:
            found[row.cell.sources] = style * max(row.found.get("noise") or 1.0, 1.0)
    return found


def _need(scores: Mapping[float, Mapping[Sources, float]]) -> tuple[bool | None, str]:
    """Whether a network needs total variation, None where pairs do not tell, and in words."""
    none = scores[0.0]
    everywhere = {times: found for times, found in scores.items() if found.keys() >= none.keys()}
    told = f"best with {_name(_best(everywhere, none))}"
    some = {times: found for times, found in everywhere.items() if times}
    if not some:
        return None, "no other weight was painted and judged on all pairs"
    if len(none) < 2:
        return None, f"{told} (one pair)"
    # The best of eight weights would look good by chance on the pairs that it was chosen by.
    found = compared([none[pair] / some[_best(some, none.keys() - {pair})][pair] for pair in none])
    told += f"; none is {found.text()} times as far as the weight that is best on the other pairs"
    return found.is_above(NEEDED), told


def _best(scores: Mapping[float, Mapping[Sources, float]], pairs: Collection[Sources]) -> float:
    return min(scores, key=lambda times: geometric_mean(scores[times][pair] for pair in pairs))


def _accident(rows: Sequence[Row]) -> Verdict:
    own = [row for row in rows if row.fact("times") == TIMES[-1] and row.distances is not None]
    style, content = middle(own, "style_distance"), middle(own, "content_distance")
    claim = (
        "A million times too much total variation still gives a picture (the article's lesson 2.5)."
    )
    if style is None or content is None:
        return Verdict(claim, "not tested", "no such painting was judged", "bitbrush lab tv …")
    # A style distance of 1 is what the content has, a content distance of 1 a plain grey.
    survived = content < 1
    return Verdict(
        claim,
        "confirmed" if survived else "refuted",
        f"style distance {style:.2f} (1: nothing transferred), content distance {content:.2f} "
        "(1: a plain grey), medians",
    )


LESSON = Lesson(
    "tv",
    "Total variation",
    "How much smoothness do binary and float networks want, and what becomes of a picture with a "
    "million times too much of it?",
    ("quickbrush", "vgg19-16x"),
    cells,
    findings,
)
