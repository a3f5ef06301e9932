"""A search for settings: Optuna proposes, proposals are painted, and poor ones not to their end.

It is led by one figure, the cost, of which a Gaussian process learns from a few dozen proposals
what several figures would need hundreds for. What it painted is kept with three, all to be small:
style distance, content distance, artefacts. A search is repeated exactly by its seed; one that was
interrupted is begun anew, and is in a moment where it was.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import geometric_mean, mean
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..budget import Budget
from ..plan import Cell, Sources
from ..rows import Row
from ..runner import Advance, Laboratory
from . import Request
from .space import bad_start, propose

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

PAIRS = 2
"""Pairs that a proposal is painted on, the same for all."""

MORE_PAIRS = 2
"""Further pairs at most, which only the best proposals are painted on: what is best on two pairs is
not always good on others."""

FINALISTS = 5
"""Proposals that are painted on the further pairs."""

SHARE = 1 / 3
"""Of the budget that finals may take; else there are none."""

AT_ONCE = 2
"""Proposals that are made before the figures of the last ones are known, unless another number is
asked for. However many paint, so that a search is repeated by its seed."""

RANDOM = 10
"""Proposals that are drawn at random before there is anything to learn from."""

UNPRUNED = 4
"""Proposals that are painted to their end before any is given up."""

WANTED = 1.2
"""Content distance of the paintings that are searched for, unless another is asked for. A little
less than quickbrush's with a content weight of 0.2 at 256 px, where a photograph is clearly itself
yet."""

FALL = 1.2
"""By what power of the content distance the style distance falls along a frontier. Measured as 0.9
to 1.6, 1.17 in the median, over eight pairs painted by quickbrush at 256 px."""

PULL = 1.0
"""What the squared logarithm of a content distance over the one wanted costs."""

GRAIN = 0.05
"""How much a proposal's artefacts count, in logarithms, beside its distances."""

FAILED = (1e3, 1e3, 1e3)
"""Figures of a proposal that could not be painted."""

WORST = 2.0
"""The highest cost, so that failures do not hide the differences between the others."""

Figures = tuple[float, float, float]
"""Style distance, content distance, artefacts."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        study: every proposal, with its figures; those that were given up are pruned.
        rows: of every painting.
        settings: of the proposal that cost the least.
    """

    study: Study
    rows: Sequence[Row]
    settings: Mapping[str, Any]


@dataclass
class Proposal:
    """One set of settings, painted on one pair after another."""

    trial: Trial
    settings: Mapping[str, Any]
    wanted: float
    rows: list[Row] = field(default_factory=list)

    @property
    def costs(self) -> list[float]:
        """Of each painting so far."""
        return [cost(row, self.wanted) for row in self.rows]

    @property
    def is_complete(self) -> bool:
        """Whether it was painted on every pair of the search."""
        return len(self.rows) >= PAIRS


def check_search() -> None:
    """Makes sure that there is something to search with.

    Raises:
        InputError: Optuna or SciPy is missing.
    """
    try:
        import optuna  # noqa: F401
        import scipy  # noqa: F401
    except ImportError:
        raise InputError(
            "the search needs Optuna and SciPy, which are not installed: "
            "pip install 'bitbrush[lab]'"
        ) from None


def search(
    request: Request,
    laboratory: Laboratory,
    budget: Budget,
    pairs: Sequence[Sources],
    advance: Advance,
    wanted: float = WANTED,
    at_once: int = AT_ONCE,
) -> Found:
    """Searches with so many paintings, or so long, from a bad start.

    Args:
        laboratory: without a budget of its own, since a proposal is painted on several pairs.
        budget: paintings, at least PAIRS; or time, beyond which nothing more is proposed.
        pairs: PAIRS of them, which proposals are painted on, and up to MORE_PAIRS for the best.
        wanted: content distance of the paintings searched for.
        at_once: proposals made before the figures of the last ones are known, which can be painted
            at a time.
    Raises:
        InputError: not one network, or nothing could be painted.
    """
    check_search()
    _only(request)
    rows: list[Row] = []
    proposals: list[Proposal] = []
    pairs, further = pairs[:PAIRS], pairs[PAIRS:]
    kept = FINALISTS * len(further)
    if kept > budget.paintings * SHARE:
        further, kept = [], 0
    until = time.monotonic() + budget.seconds
    with _quiet():
        guide, record = _guide(request), _record()
        while not proposals or time.monotonic() < until:
            left = min(budget.paintings - kept - len(rows), at_once * PAIRS)
            count = int(left // PAIRS)
            if count < 1:
                break
            trials = [guide.ask() for _ in range(count)]
            asked = [Proposal(trial, propose(trial, request), wanted) for trial in trials]
            on = asked
            for place, sources in enumerate(pairs):
                # Painted together, as far as there are workers.
                cells = [_cell(request, each, sources, place) for each in on]

                def told(own: float, note: str, done: int = len(rows)) -> None:
                    advance(done + own, note)

                made = laboratory.rows(cells, told)
                rows += made
                for each, row in zip(on, made, strict=True):
                    each.rows.append(row)
                    each.trial.report(mean(each.costs), place)
                on = [each for each in on if not each.trial.number or not each.trial.should_prune()]
            proposals += asked
            for each in asked:
                guide.tell(each.trial, _expected(each, proposals))
                _note(record, each)
    finalists = sorted(
        (each for each in proposals if each.is_complete), key=lambda each: mean(each.costs)
    )[:FINALISTS]
    cells = [
        _cell(request, each, sources, place)
        for place, sources in enumerate(further, PAIRS)
        for each in finalists
    ]
    begun = len(rows)
    made = laboratory.rows(cells, lambda done, note: advance(begun + done, note))
    rows += made
    for place, row in enumerate(made):
        finalists[place % len(finalists)].rows.append(row)
    return _found(record, rows, finalists)


def _only(request: Request) -> str:
    if len(request.networks) != 1:
        raise InputError("a search is for one network; name it with --network")
    (found,) = request.networks.values()
    return found.network


def _guide(request: Request) -> Study:
    import optuna

    # Its seeds are of 32 bits.
    sampler = optuna.samplers.GPSampler(seed=request.seed % 2**32, n_startup_trials=RANDOM)
    study = optuna.create_study(
        sampler=sampler, pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED)
    )
    study.enqueue_trial(bad_start(_only(request)))
    return study


def _record() -> Study:
    import optuna

    return optuna.create_study(directions=["minimize"] * 3)


@contextmanager
def _quiet() -> Iterator[None]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _cell(request: Request, proposal: Proposal, sources: Sources, place: int) -> Cell:
    (network,) = request.networks
    number = proposal.trial.number
    return Cell(
        sources,
        request.settings(network, **proposal.settings),
        sheet="The search",
        row=f"proposal {number}",
        column=f"pair {place + 1}",
        facts={"proposal": number, "network": network},
    )


def cost(row: Row, wanted: float) -> float:
    """What a painting costs: the logarithm of its style distance at the content distance wanted.

    That is guessed by how frontiers fall, and the guess is the worse, and costs the more, the
    further away the painting is. A little is added for artefacts.
    """
    style, content, artefacts = figures([row])
    off = math.log(content / wanted)
    return min(
        math.log(style) + FALL * off + PULL * off**2 + GRAIN * math.log(artefacts),
        WORST,
    )


def figures(rows: Sequence[Row]) -> Figures:
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


def _expected(proposal: Proposal, proposals: Sequence[Proposal]) -> float:
    """Its cost; of one that was given up, by what the others' further paintings added."""
    own = proposal.costs
    others = [each.costs for each in proposals if each.is_complete]
    if proposal.is_complete or not others:
        return mean(own)
    return mean(own) + mean(mean(costs) - mean(costs[: len(own)]) for costs in others)


def _note(record: Study, proposal: Proposal) -> None:
    import optuna

    trial = proposal.trial
    complete = proposal.is_complete
    record.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.PRUNED,
            params=trial.params,
            distributions=trial.distributions,
            values=figures(proposal.rows) if complete else None,
        )
    )


def _found(record: Study, rows: Sequence[Row], proposals: Sequence[Proposal]) -> Found:
    complete = [each for each in proposals if each.is_complete]
    if not complete:
        raise InputError("nothing was painted; give the search a larger --budget")
    best = min(complete, key=lambda each: mean(each.costs))
    return Found(record, rows, dict(best.rows[0].cell.settings))
