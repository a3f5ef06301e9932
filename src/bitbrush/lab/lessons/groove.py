"""Lesson 1: the search for stable weights, from deliberately bad ones, and what it is worth."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..frontier import Frontier, compared, overlap, ratio
from ..frontiers import frontiers_of, reference_cell, reference_cells
from ..judge import Distances
from ..plan import Cell, Sources
from ..report import Figure, Findings, Table, Verdict
from ..report.findings import Outcome
from ..report.plots import bars, curves
from ..rows import Row
from ..runner import Advance, Laboratory
from ..widening import MORE, WEIGHTS, wider
from . import Lesson, Request, taps_of
from .proposal import FAILED, PAIRS
from .search import MORE_PAIRS, Found
from .space import rounded

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

WITHIN = 1.05
"""Style distance at equal content over the defaults' that counts as come home."""


@dataclass(frozen=True)
class Parted:
    """Pairs to search on, and pairs to judge the search by."""

    seen: Sequence[Sources]
    unseen: Sequence[Sources]


def parted(sources: Sequence[Sources], unseen: int) -> Parted:
    """Pairs to search on, PAIRS of them and MORE_PAIRS if there are as many, and others to judge
    by; best without a picture in common.

    Raises:
        InputError: there are too few.
    """
    contents = _spread(list(dict.fromkeys(pair.content for pair in sources)))
    styles = _spread(list(dict.fromkeys(pair.style for pair in sources)))
    own_contents = contents[: math.ceil(len(contents) / 3)]
    own_styles = styles[: math.ceil(len(styles) / 3)]
    own = [p for p in sources if p.content in own_contents and p.style in own_styles]
    out = [p for p in sources if p.content not in own_contents and p.style not in own_styles]
    if len(own) < PAIRS or len(out) < unseen:
        # Too few pictures for that: then no pair is in both.
        order = _spread(list(sources))
        out, own = order[:unseen], order[unseen:]
    if len(own) < PAIRS or len(out) < unseen:
        raise InputError(
            f"a search takes {PAIRS} pairs and {unseen} more to judge it by, and there are "
            f"{len(sources)}; give folders with more pictures, or a smaller --unseen"
        )
    return Parted(_unlike(own), _spread(out)[:unseen])


def _spread(values: list[Any]) -> list[Any]:
    """In an order of its own, so that neighbours in a folder do not stay together."""
    return random.Random(0).sample(values, len(values))


def _unlike(pairs: Sequence[Sources]) -> Sequence[Sources]:
    """The first, and others by how little they have in common with it."""
    first = pairs[0]
    return sorted(
        pairs, key=lambda p: (p != first, (p.content == first.content) + (p.style == first.style))
    )[: PAIRS + MORE_PAIRS]


def trial_cells(request: Request, pairs: Parted) -> list[Cell]:
    """One painting of each pair, by every tap that a proposal may have: what has to be possible
    before the search begins."""
    (network,) = request.networks
    taps = taps_of(request.networks[network].network)
    settings = request.settings(network, content_taps=taps[0], style_taps=",".join(taps))
    return [Cell(sources, settings) for sources in (*pairs.seen, *pairs.unseen)]


def judged(
    request: Request,
    found: Found,
    unseen: Sequence[Sources],
    laboratory: Laboratory,
    advance: Advance,
) -> list[Row]:
    """The frontiers of the defaults and of what was found, on pairs the search has not seen.

    Both begin with the same content weights, and are widened where they do not overlap.
    """
    (network,) = request.networks
    cells = reference_cells(replace(request, sources=unseen), network)
    for sources in unseen:
        own = found.settings["content_weight"]
        weights = sorted({*WEIGHTS, own})
        cells += [_found_cell(network, found, sources, weight) for weight in weights]
    rows = laboratory.rows(cells, advance)

    def further(done: float, note: str) -> None:
        advance(len(rows) + done, note)

    for _ in range(MORE):
        more: list[Cell] = []
        for sources in unseen:
            next_ = _wider(rows, sources)
            if next_ is not None:
                more.append(_found_cell(network, found, sources, rounded(next_[0])))
                more.append(reference_cell(request, network, sources, rounded(next_[1])))
        if not more:
            break
        rows += laboratory.rows(more, further)
    return rows


def _found_cell(network: str, found: Found, sources: Sources, weight: float) -> Cell:
    return Cell(
        sources,
        {**found.settings, "content_weight": weight},
        sheet="What was found, on pairs it has not seen",
        row=sources.name,
        column=f"content weight {weight:g}",
        facts={"found": True, "network": network},
    )


def _wider(rows: Sequence[Row], sources: Sources) -> tuple[float, float] | None:
    """Content weights to paint a pair with next, found settings and defaults."""
    by_weight: dict[bool, dict[float, Distances]] = {True: {}, False: {}}
    for row in rows:
        if row.cell.sources == sources and row.distances is not None:
            weight = row.cell.settings["content_weight"]
            by_weight[bool(row.fact("found"))][weight] = row.distances
    return wider(by_weight[True], by_weight[False]) if all(by_weight.values()) else None


def findings(
    request: Request, found: Found, unseen: Sequence[Sources], judging: Sequence[Row]
) -> Findings:
    """Importances, the frontier, and whether the search came home."""
    trials = [trial for trial in found.study.trials if trial.values]
    figures_ = [_frontier_figure(trials, found.study.best_trials)]
    importances = _importances(found.study)
    if importances:
        figures_.append(
            Figure(
                "Which settings decide about the style distance",
                bars(importances, "importance (PED-ANOVA)"),
            )
        )
    best = [
        [trial.number, *trial.values, *_told(trial)]
        for trial in sorted(found.study.best_trials, key=lambda trial: math.prod(trial.values))
    ]
    header = ["proposal", "style distance", "content distance", "artefacts"]
    header += ["content weight", "TV weight", "style taps", "estimator"]
    settings = [[name, str(value)] for name, value in found.settings.items()]
    return Findings(
        [_verdict(request, found, unseen, judging)],
        [
            Table("Proposals that no other beats in all three", header, best),
            Table("What was found", ["setting", "value"], settings),
        ],
        figures_,
    )


def _told(trial: FrozenTrial) -> list[Any]:
    names = ("content_weight", "tv_weight", "style_taps", "estimator")
    return [trial.params.get(name) for name in names]


def _frontier_figure(trials: Sequence[FrozenTrial], best: Sequence[FrozenTrial]) -> Figure:
    numbers = {trial.number for trial in best}
    painted = [trial for trial in trials if tuple(trial.values) != FAILED]
    series = {
        "proposals": [
            (t.values[1], t.values[0]) for t in painted if t.number and t.number not in numbers
        ],
        "not beaten": [(t.values[1], t.values[0]) for t in painted if t.number in numbers],
        "the bad start": [(t.values[1], t.values[0]) for t in painted if t.number == 0],
    }
    return Figure(
        "All proposals",
        curves(series, "content distance", "style distance", log_y=True, line=False),
    )


def _importances(study: Study) -> dict[str, float]:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    painted = [trial for trial in study.trials if trial.values and tuple(trial.values) != FAILED]
    if len(painted) < 8:  # too few to tell
        return {}
    with warnings.catch_warnings():
        # It says that low figures count as good ones, which they are.
        warnings.simplefilter("ignore")
        found = get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), target=lambda trial: trial.values[0]
        )
    return dict(found)


def _verdict(
    request: Request, found: Found, unseen: Sequence[Sources], judging: Sequence[Row]
) -> Verdict:
    claim = (
        "From deliberately bad weights the search comes to within 5 % of the defaults' style "
        "distance at equal content, on pairs it has not seen."
    )
    (network,) = request.networks
    defaults = frontiers_of(judging)
    ratios = []
    for sources in unseen:
        own = [
            row.distances
            for row in judging
            if row.fact("found") and row.cell.sources == sources and row.distances is not None
        ]
        reference = defaults.get((network, sources))
        if own and reference and overlap(Frontier.of(own), reference):
            ratios.append(ratio(Frontier.of(own), reference))
    if not ratios:
        return Verdict(
            claim,
            "not tested",
            "no pair was left to judge by, or no two frontiers overlap",
            "bitbrush lab groove --content FOLDER --style FOLDER --unseen 6 …",
        )
    result = compared(ratios)
    above = result.is_above(WITHIN)
    outcome: Outcome = "mixed"
    if above is not None:
        outcome = "refuted" if above else "confirmed"
    return Verdict(
        claim,
        outcome,
        f"{result.text(3)} over {len(ratios)} pairs, "
        f"after {len(found.rows)} paintings of {len(found.study.trials)} proposals",
    )


LESSON = Lesson(
    "groove",
    "The search for stable weights",
    "From deliberately bad weights: what does a search come to, which settings matter, and does "
    "what it finds hold on other pictures?",
    ("quickbrush",),
    lambda request: [],
    lambda request, rows: Findings(),
)
"""For its name, title and question; its plan is made as it goes."""
