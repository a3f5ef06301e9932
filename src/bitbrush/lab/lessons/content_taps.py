"""Lesson 4: which layers keep the content, by cross-validation over pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import geometric_mean

from ...style.defaults import DEFAULTS
from ...style.settings import parse_taps
from ..frontier import compared
from ..frontiers import against, frontiers_of, reference_cells
from ..left_out import best
from ..plan import Cell, Sources
from ..report import Figure, Findings, Table, Verdict
from ..report.findings import Outcome
from ..report.plots import bars
from ..rows import Row
from . import Lesson, Request, taps_of

OWN = "its own"
LEVEL = 0.02
"""Gains in style at equal content below this share are nothing."""

Choice = tuple[str, str]

Scores = dict[Sources, float | None]
"""By pair that was painted; None where the painting is beyond the frontier's reach."""


def choices(network: str) -> dict[Choice, dict[str, str]]:
    """Combinations by name (content, style), and the settings that make them.

    Every tap alone keeps the content, with the network's own style taps; and each of a few sets of
    style taps goes with the network's own content taps and with the best-known single ones.
    """
    defaults = DEFAULTS[network]
    style = list(parse_taps(defaults.style_taps))
    content = list(parse_taps(defaults.content_taps))
    found: dict[Choice, dict[str, str]] = {(OWN, OWN): {}}
    for tap in taps_of(network):
        if [tap] != content:
            found[tap, OWN] = {"content_taps": tap}
    half = len(style) // 2 + 1
    sets = {
        "the first ones": style[:half],
        "the deep ones": style[-half:],
        "all taps": taps_of(network),
    }
    for name, taps in sets.items():
        listed = ",".join(taps)
        found[OWN, name] = {"style_taps": listed}
        for tap in content if len(content) > 1 else ():
            found[tap, name] = {"content_taps": tap, "style_taps": listed}
    return found


def cells(request: Request) -> list[Cell]:
    """Every combination on every pair, and the frontiers."""
    found = [cell for network in request.networks for cell in reference_cells(request, network)]
    for network in request.networks:
        for sources in request.sources:
            for (content, style), settings in choices(request.networks[network].network).items():
                found.append(
                    Cell(
                        sources,
                        request.settings(network, **settings),
                        sheet=f"{network}: content by one tap, or style by other taps",
                        row=sources.name,
                        column=f"content: {content}; style: {style}",
                        facts={"network": network, "choice": (content, style)},
                    )
                )
    return found


def findings(request: Request, rows: Sequence[Row]) -> Findings:
    """Which combination wins on pairs that it was not chosen on."""
    frontiers = frontiers_of(rows)
    lines: list[list[str | float | None]] = []
    verdicts, figures = [], []
    for network in request.networks:
        scores: dict[Choice, Scores] = {}
        for row in rows:
            if row.fact("network") == network and row.fact("choice"):
                own = scores.setdefault(row.fact("choice"), {})
                own[row.cell.sources] = against(row, frontiers)
        known = {c: [s for s in own.values() if s is not None] for c, own in scores.items()}
        means = {choice: geometric_mean(found) for choice, found in known.items() if found}
        for choice in sorted(means, key=lambda choice: means[choice]):
            lines.append([network, *choice, compared(known[choice]).text(), len(known[choice])])
        if means:
            figures.append(
                Figure(
                    f"{network}: style distance at equal content",
                    bars(
                        {
                            f"{c} | {s}": means[c, s]
                            for c, s in sorted(means, key=lambda k: means[k])
                        },
                        "over the network's own settings (content taps | style taps)",
                    ),
                )
            )
        if network in request.trained():
            verdicts.append(_validated(network, scores, request))
    table = Table(
        "By combination",
        ["network", "content taps", "style taps", "style at equal content", "pairs"],
        lines,
        "Geometric means, with 95 % intervals, over the pairs on which a painting lies within the "
        "frontier's reach.",
    )
    return Findings(verdicts, [table], figures)


def _validated(network: str, scores: Mapping[Choice, Scores], request: Request) -> Verdict:
    """Chooses on all pairs but one, measures on that one, for each pair in turn.

    Pairs that were not painted with every combination are left out, as a budget leaves the last
    one; then combinations that are beyond reach on a pair, so that all are means over the same.
    """
    claim = f"For {network} there are better taps than its own."
    pairs = [s for s in request.sources if scores and all(s in own for own in scores.values())]
    complete: dict[Choice, dict[Sources, float]] = {}
    for choice, own in scores.items():
        found = {pair: score for pair in pairs if (score := own[pair]) is not None}
        if len(found) == len(pairs):
            complete[choice] = found
    told = (
        f"{len(complete)} of {len(scores)} combinations can be compared on "
        f"{len(pairs)} of {len(request.sources)} pairs"
    )
    if len(pairs) < 3 or len(complete) < 2:
        return Verdict(
            claim,
            "not tested",
            f"cross-validation takes three pairs and two combinations at least; {told}",
            "bitbrush lab content-taps --content FOLDER --style FOLDER …",
        )
    picks = {pair: best(complete, without=pair) for pair in pairs}
    usual = complete.get((OWN, OWN))
    held_out = [
        complete[choice][pair] / (usual[pair] if usual else 1.0) for pair, choice in picks.items()
    ]
    chosen = list(picks.values())
    result = compared(held_out)
    outcome: Outcome = "mixed"
    worse = result.is_above(1 - LEVEL)
    if worse is not None:
        outcome = "refuted" if worse else "confirmed"
    often = max(set(chosen), key=chosen.count)
    return Verdict(
        claim,
        outcome,
        f"chosen on the other pairs, style at equal content is {result.text(3)} of its own on the "
        f"pair left out; chosen {chosen.count(often)} times of {len(chosen)}: content by "
        f"{often[0]}, style by {often[1]}; {told}",
    )


LESSON = Lesson(
    "content-taps",
    "Which layers keep the content",
    "Every content tap alone, and combinations of content and style taps, chosen on some pairs and "
    "judged on others.",
    ("quickbrush",),
    cells,
    findings,
)
