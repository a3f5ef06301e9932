"""A search for settings: Optuna proposes, proposals are painted, and poor ones not to their end.

What it painted is kept with three figures, all to be small: style distance, content distance,
artefacts. A search is repeated exactly by its seed; one that was interrupted is begun anew, and is
in a moment where it was.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..budget import Budget
from ..plan import Cell, Sources
from ..rows import Row
from ..runner import Advance, Laboratory
from . import Request
from .guide import check_search, guide_named, quietly
from .proposal import FIGURES, PAIRS, WANTED, Proposal, figures
from .space import propose

if TYPE_CHECKING:
    from optuna.study import Study

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


def search(
    request: Request,
    laboratory: Laboratory,
    budget: Budget,
    pairs: Sequence[Sources],
    advance: Advance,
    wanted: float = WANTED,
    at_once: int = AT_ONCE,
    guide: str = "cost",
) -> Found:
    """Searches with so many paintings, or so long, from a bad start.

    Args:
        laboratory: without a budget of its own, since a proposal is painted on several pairs.
        budget: paintings, at least PAIRS; or time, beyond which nothing more is proposed.
        pairs: PAIRS of them, which proposals are painted on, and up to MORE_PAIRS for the best.
        wanted: content distance of the paintings searched for.
        at_once: proposals made before the figures of the last ones are known, which can be painted
            at a time.
        guide: name of what leads it.
    Raises:
        InputError: not one network, no such guide, or nothing could be painted.
    """
    check_search()
    network = _only(request)
    rows: list[Row] = []
    proposals: list[Proposal] = []
    pairs, further = pairs[:PAIRS], pairs[PAIRS:]
    kept = FINALISTS * len(further)
    if kept > budget.paintings * SHARE:
        further, kept = [], 0
    until = time.monotonic() + budget.seconds
    with quietly():
        leading, record = guide_named(guide)(network, request.seed), _record()
        while not proposals or time.monotonic() < until:
            left = min(budget.paintings - kept - len(rows), at_once * PAIRS)
            count = int(left // PAIRS)
            if count < 1:
                break
            trials = [leading.ask() for _ in range(count)]
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
                on = [each for each in on if not leading.gives_up(each)]
            proposals += asked
            for each in asked:
                leading.tell(each, proposals)
                _note(record, each)
    complete = (each for each in proposals if each.is_complete)
    finalists = sorted(complete, key=lambda each: each.cost)[:FINALISTS]
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


def _record() -> Study:
    import optuna

    return optuna.create_study(directions=["minimize"] * FIGURES)


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
    best = min(complete, key=lambda each: each.cost)
    return Found(record, rows, dict(best.rows[0].cell.settings))
