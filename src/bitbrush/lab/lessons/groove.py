"""Lesson 1: the search for stable weights, from deliberately bad ones.

Optuna proposes settings; each proposal is painted on a few pairs and has three figures, all to be
small: style distance, content distance, artefacts. A search is repeated exactly by its seed, and
what it painted is kept. So one that was interrupted is begun anew, and is in a moment where it was.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...networks.registry import network_spec
from ...style.settings import ESTIMATORS
from ..frontier import Frontier, compared, overlap, ratio
from ..frontiers import frontiers_of, reference_cells
from ..plan import Cell, Sources
from ..report import Figure, Findings, Table, Verdict
from ..report.findings import Outcome
from ..report.plots import bars, curves
from ..rows import Row
from ..runner import Advance, Laboratory
from . import Lesson, Request, taps_of

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

PAIRS = 2
"""Pairs that a proposal is painted on."""

AT_ONCE = 2
"""Proposals that are made before the figures of the last ones are known, however many paint."""

SPREAD = (1 / 9, 1 / 3, 1.0, 3.0)
"""Multiples of the content weight found, for its frontier."""

WITHIN = 1.05
"""Style distance at equal content over the defaults' that counts as come home."""

FAILED = (1e3, 1e3, 1e3)
"""Figures of a proposal that could not be painted."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        study: every proposal, with its figures.
        rows: of every painting.
        settings: the best compromise.
        unseen: pairs that the search has not seen, for judging it.
    """

    study: Study
    rows: Sequence[Row]
    settings: Mapping[str, Any]
    unseen: Sequence[Sources]


def check_search() -> None:
    """Makes sure that there is something to search with.

    Raises:
        InputError: Optuna is missing.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise InputError(
            "the search needs Optuna, which is not installed: pip install 'bitbrush[lab]'"
        ) from None


def bad_start(network: str) -> dict[str, Any]:
    """Proposal 0: far too much content and smoothness, no colour, one shallow tap."""
    start = {
        "content_weight": 10.0,
        "tv_weight": 10.0,
        "colour_weight": 0.01,
        "learning_rate": 0.003,
        "noise": 0.06,
        "content_tap": taps_of(network)[0],
        "depth": -1.0,
        "style_taps": "shallow",
        "steps": 1 / 3,
    }
    if network_spec(network).kind != "float":
        start["estimator"] = "identity"
    return start


def propose(trial: Trial, request: Request) -> dict[str, Any]:
    """Settings of a proposal. The style's weight stays 1: only the ratios of weights count."""
    (network,) = request.networks
    taps = taps_of(network)
    chosen = trial.suggest_categorical("style_taps", ["shallow", "deep", "spread", "all"])
    third = max(len(taps) // 3, 1)
    sets = {
        "shallow": taps[: 2 * third],
        "deep": taps[third:],
        "spread": taps[:: max(len(taps) // 5, 1)],
        "all": taps,
    }
    style = sets[chosen]
    slope = trial.suggest_float("depth", -1.0, 1.0)
    share = trial.suggest_categorical("steps", [1 / 3, 2 / 3, 1.0])
    settings: dict[str, Any] = {
        "content_weight": trial.suggest_float("content_weight", 1e-3, 10.0, log=True),
        "tv_weight": trial.suggest_float("tv_weight", 1e-6, 10.0, log=True),
        "colour_weight": trial.suggest_float("colour_weight", 0.01, 5.0, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.003, 0.1, log=True),
        "noise": trial.suggest_float("noise", 0.0, 0.06),
        "content_taps": trial.suggest_categorical("content_tap", taps),
        "style_taps": ",".join(
            f"{tap}:{math.exp(slope * (2 * place / max(len(style) - 1, 1) - 1)):.4g}"
            for place, tap in enumerate(style)
        ),
    }
    if network_spec(network).kind != "float":
        settings["estimator"] = trial.suggest_categorical(
            "estimator", [name for name in ESTIMATORS if name != "ede"]
        )
    steps = {**settings, "steps": max(round(request.steps * share), 1)}
    return {name: _rounded(value) for name, value in steps.items()}


def _rounded(value: Any) -> Any:
    # What a command line says in a few digits is what is painted.
    return float(f"{value:.4g}") if isinstance(value, float) else value


def search(
    request: Request, laboratory: Laboratory, budget: int, unseen: int, advance: Advance
) -> Found:
    """Searches with so many paintings, from a bad start.

    Args:
        budget: paintings; each proposal takes PAIRS of them.
        unseen: pairs that are left out of it.
    Raises:
        InputError: there are too few pairs, or not one network.
    """
    check_search()
    if len(request.networks) != 1:
        raise InputError("a search is for one network; name it with --network")
    pairs = parted(request.sources, unseen)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=request.seed, multivariate=True, n_startup_trials=8)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    study.enqueue_trial(bad_start(request.networks[0]))
    rows: list[Row] = []
    proposals = max(budget // PAIRS, 1)
    for begun in range(0, proposals, AT_ONCE):
        trials = [study.ask() for _ in range(min(AT_ONCE, proposals - begun))]
        asked = {trial.number: _cells(trial, request, pairs.seen) for trial in trials}
        done = len(rows)

        def told(own: float, note: str, done: int = done) -> None:
            advance(done + own, note)

        made = laboratory.rows([cell for cells in asked.values() for cell in cells], told)
        rows += made
        for trial in trials:
            own = [row for row in made if row.fact("proposal") == trial.number]
            complete = len(own) == len(asked[trial.number])
            study.tell(trial, figures(own) if complete else FAILED)
        if len(made) < sum(map(len, asked.values())):
            break  # the budget of time is over
    return Found(study, rows, compromise(study, rows), pairs.unseen)


@dataclass(frozen=True)
class Parted:
    """Pairs to search on, and pairs to judge the search by."""

    seen: Sequence[Sources]
    unseen: Sequence[Sources]


def parted(sources: Sequence[Sources], unseen: int) -> Parted:
    """The last ones are left out; of the others, PAIRS in turn with none in common with them.

    Raises:
        InputError: there are too few.
    """
    out: list[Sources] = []
    left = list(sources)
    # Diagonally, so that contents and styles differ.
    order = sorted(range(len(left)), key=lambda n: (n * 7919) % max(len(left), 1))
    for place in order:
        if len(out) < unseen:
            out.append(left[place])
    contents = {pair.content for pair in out}
    styles = {pair.style for pair in out}
    rest = [pair for pair in left if pair not in out]
    apart = [p for p in rest if p.content not in contents and p.style not in styles]
    seen = apart if len(apart) >= PAIRS else rest
    if len(seen) < PAIRS or len(out) < unseen:
        raise InputError(
            f"a search takes {PAIRS} pairs and {unseen} more to judge it by; "
            f"there are {len(sources)}"
        )
    return Parted(seen, out)


def _cells(trial: Trial, request: Request, pairs: Sequence[Sources]) -> list[Cell]:
    settings = propose(trial, request)
    (network,) = request.networks
    start = trial.number * PAIRS
    chosen = [pairs[(start + place) % len(pairs)] for place in range(PAIRS)]
    return [
        Cell(
            sources,
            request.settings(network, **settings),
            sheet="The search",
            row=f"proposal {trial.number}",
            column=f"pair {place}",
            facts={"proposal": trial.number, "network": network},
        )
        for place, sources in enumerate(chosen, 1)
    ]


def figures(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Style distance, content distance and artefacts of a proposal."""
    judged = [row for row in rows if row.distances is not None]
    if len(judged) < len(rows) or not rows:
        return FAILED
    distances = [row.distances for row in judged if row.distances is not None]
    artefacts = [
        max(row.grid_against_style or 1.0, 1.0) * max(row.found.get("noise") or 1.0, 1.0)
        for row in judged
    ]
    return (
        geometric_mean([max(each.style, 1e-6) for each in distances]),
        geometric_mean([max(each.content, 1e-6) for each in distances]),
        geometric_mean(artefacts),
    )


def compromise(study: Study, rows: Sequence[Row]) -> dict[str, Any]:
    """The settings on the frontier of all proposals whose figures have the smallest product."""
    best = min(study.best_trials, key=lambda trial: math.prod(trial.values))
    own = next((row for row in rows if row.fact("proposal") == best.number), None)
    if own is None:
        raise InputError("nothing was painted; give the search a larger --budget")
    return dict(own.cell.settings)


def judging_cells(request: Request, found: Found) -> list[Cell]:
    """The frontiers of the defaults and of what was found, on pairs the search has not seen."""
    (network,) = request.networks
    unseen = Request(
        found.unseen, request.networks, request.size, request.steps, request.threads, request.seed
    )
    cells = reference_cells(unseen, network)
    for sources in found.unseen:
        for times in SPREAD:
            weight = _rounded(found.settings["content_weight"] * times)
            cells.append(
                Cell(
                    sources,
                    {**found.settings, "content_weight": weight},
                    sheet="What was found, on pairs it has not seen",
                    row=sources.name,
                    column=f"{times:.2g} times its content weight",
                    facts={"found": True, "network": network},
                )
            )
    return cells


def findings(request: Request, found: Found, judging: Sequence[Row]) -> Findings:
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
    header += ["content weight", "TV weight", "content tap", "style taps"]
    settings = [[name, str(value)] for name, value in found.settings.items()]
    return Findings(
        [_verdict(request, found, judging)],
        [
            Table("Proposals that no other beats in all three", header, best),
            Table("What was found", ["setting", "value"], settings),
        ],
        figures_,
    )


def _told(trial: FrozenTrial) -> list[Any]:
    names = ("content_weight", "tv_weight", "content_tap", "style_taps")
    return [trial.params[name] for name in names]


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

    painted = [trial for trial in study.trials if tuple(trial.values) != FAILED]
    if len(painted) < 8:  # too few to tell
        return {}
    with warnings.catch_warnings():
        # It says that low figures count as good ones, which they are.
        warnings.simplefilter("ignore")
        found = get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), target=lambda trial: trial.values[0]
        )
    return dict(found)


def _verdict(request: Request, found: Found, judging: Sequence[Row]) -> Verdict:
    claim = (
        "From deliberately bad weights the search comes to within 5 % of the defaults' style "
        "distance at equal content, on pairs it has not seen."
    )
    (network,) = request.networks
    defaults = frontiers_of(judging)
    ratios = []
    for sources in found.unseen:
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
    outcome: Outcome = "confirmed" if result.mean <= WITHIN else "refuted"
    return Verdict(
        claim,
        outcome,
        f"{result.mean:.3f} ({result.low:.3f} to {result.high:.3f}) over {len(ratios)} pairs, "
        f"after {len(found.rows)} paintings",
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
