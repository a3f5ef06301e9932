"""Lessons 2 and 2.5: how much total variation, from none to a million times too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...style.settings import PaintSettings
from ..frontier import Frontier, compared
from ..frontiers import Key, against, frontiers_of, reference_cells
from ..left_out import best, on_pairs_left_out
from ..plan import Cell, Sources
from ..report import Figure, Findings, Table, Verdict
from ..report.plots import curves
from ..report.verdicts import all_or_none, opposite
from ..rows import Row, by_pair, mean_of_ratios, middle, told_mean
from . import Lesson, Request

USUAL = PaintSettings.tv_weight
TIMES = (0.0, 0.1, 1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6)
"""Of the usual weight. The last is the article's accident: 3·10³ where 3·10⁻³ was meant."""

ACCIDENT = "the article's accident: 10⁶ times the weight that was meant"

NEEDED = 1.05
"""A network needs total variation if none is this factor worse than the weight that is best on the
other pairs, in style distance at equal content or in noise beyond the style's; with the whole
interval over pairs."""

Scores = dict[Sources, float | None]
"""By pair that was painted, less is better; None where that cannot be compared."""


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

    def at_equal_content(row: Row) -> float | None:
        return against(row, frontiers)

    lines: list[list[str | float | None]] = []
    curves_of: dict[str, dict[str, list[tuple[float, float]]]] = {"style": {}, "noise": {}}
    needs: dict[str, bool | None] = {}
    told: dict[str, str] = {}
    for network in request.networks:
        scores: dict[float, Scores] = {}
        for times in TIMES:
            own = [r for r in rows if r.fact("network") == network and r.fact("times") == times]
            style = mean_of_ratios(own, at_equal_content)
            noise = middle(own, "noise")
            lines.append(
                [
                    network,
                    _name(times),
                    told_mean(own, at_equal_content),
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
        if any(scores[0.0].values()):
            needs[network], told[network] = _need(scores)
    marks = {"usual": USUAL, ACCIDENT: USUAL * TIMES[-1]}
    kinds = request.kinds()
    return Findings(
        verdicts=[
            all_or_none(
                "Binary networks need total variation.",
                kinds["binary"],
                needs,
                told,
                "bitbrush lab tv --network quickbrush …",
            ),
            all_or_none(
                "Float networks do not need it.",
                kinds["float"],
                {name: opposite(need) for name, need in needs.items()},
                told,
                "bitbrush lab tv --network vgg19 …",
            ),
            _accident(request, rows),
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
                "Medians over the pairs; of style at equal content the geometric mean with its "
                "95 % interval.",
            )
        ],
    )


def _scores(own: Sequence[Row], frontiers: Mapping[Key, Frontier]) -> Scores:
    """Style distance at equal content times what noise there is beyond the style's, by pair."""
    found: Scores = {}
    for row in own:
        style = against(row, frontiers)
        found[row.cell.sources] = None if style is None else style * row.noise_beyond_style
    return found


def _need(scores: Mapping[float, Scores]) -> tuple[bool | None, str]:
    """Whether a network needs total variation, None where pairs do not tell, and in words."""
    # A budget leaves the last pair without some weights, the best one perhaps.
    whole = {
        pair: none
        for pair, none in scores[0.0].items()
        if none is not None and all(pair in found for found in scores.values())
    }
    # Over none's on the same pair, so that weights that lack different pairs can be compared.
    against_none = {
        times: {
            pair: score / none for pair, none in whole.items() if (score := found[pair]) is not None
        }
        for times, found in scores.items()
    }
    # A weight that is within reach on a few pairs only would be chosen by chance.
    common = {times: own for times, own in against_none.items() if 2 * len(own) > len(whole)}
    some = {times: own for times, own in common.items() if times}
    if not some:
        return None, "no other weight can be compared with none on most pairs"
    told = f"best with {_name(best(common))}"
    found = on_pairs_left_out(some)
    if not found:
        return None, f"{told} (too few pairs)"
    none_against_best = compared([1 / score for score in found])
    told += f"; none is {none_against_best.text()} times as far as the weight that is best on the "
    return none_against_best.is_above(NEEDED), f"{told}other pairs"


def _accident(request: Request, rows: Sequence[Row]) -> Verdict:
    """Whether each network's paintings keep more of the photograph than a plain grey does."""
    survived: dict[str, bool | None] = {}
    told: dict[str, str] = {}
    for network in request.trained():
        own = [r for r in rows if r.fact("network") == network and r.fact("times") == TIMES[-1]]
        contents = by_pair(own, "content_distance")
        if not contents:
            continue
        content = compared(list(contents.values()))
        survived[network] = opposite(content.is_above(1))
        told[network] = f"content distance {content.text()}, where a plain grey's is 1"
    return all_or_none(
        "A million times too much total variation still gives a picture "
        "(the article's lesson 2.5).",
        request.trained(),
        survived,
        told,
        "bitbrush lab tv …",
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
