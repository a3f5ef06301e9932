"""What leads a search: Optuna's samplers and pruners, told of one figure or of three."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import mean
from typing import TYPE_CHECKING

from ...errors import InputError, unknown_name
from .proposal import FIGURES, Proposal, figures
from .space import bad_start

if TYPE_CHECKING:
    from optuna.samplers import GPSampler
    from optuna.study import Study
    from optuna.trial import Trial

RANDOM = 10
"""Proposals that are drawn at random before there is anything to learn from."""

UNPRUNED = 4
"""Proposals that are painted to their end before any is given up."""


class Guide(ABC):
    """Proposes, and learns from what became of it."""

    def __init__(self, study: Study, network: str) -> None:
        self._study = study
        study.enqueue_trial(bad_start(network))

    def ask(self) -> Trial:
        """The next proposal, to draw settings with."""
        return self._study.ask()

    @abstractmethod
    def gives_up(self, proposal: Proposal) -> bool:
        """Whether a proposal is not worth its further paintings."""

    @abstractmethod
    def tell(self, proposal: Proposal, proposals: Sequence[Proposal]) -> None:
        """Learns of a proposal that is painted, or given up; proposals are all so far."""


class ByCost(Guide):
    """Led by the cost alone, of which a Gaussian process learns from a few dozen proposals what
    three figures would need more for; those with a poorer beginning than most are given up."""

    def __init__(self, network: str, seed: int) -> None:
        import optuna

        pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED)
        super().__init__(optuna.create_study(sampler=_sampler(seed), pruner=pruner), network)

    def gives_up(self, proposal: Proposal) -> bool:
        trial = proposal.trial
        trial.report(proposal.cost, len(proposal.rows) - 1)
        # The bad start is painted to its end, to be seen.
        return trial.number > 0 and trial.should_prune()

    def tell(self, proposal: Proposal, proposals: Sequence[Proposal]) -> None:
        self._study.tell(proposal.trial, _expected(proposal, proposals))


class ByFrontier(Guide):
    """Led by style distance, content distance and artefacts together, so that proposals spread over
    all that no other beats. None is given up: Optuna prunes by a single figure only."""

    def __init__(self, network: str, seed: int) -> None:
        import optuna

        study = optuna.create_study(sampler=_sampler(seed), directions=["minimize"] * FIGURES)
        super().__init__(study, network)

    def gives_up(self, proposal: Proposal) -> bool:
        return False

    def tell(self, proposal: Proposal, proposals: Sequence[Proposal]) -> None:
        self._study.tell(proposal.trial, [math.log(each) for each in figures(proposal.rows)])


GUIDES: dict[str, type[ByCost | ByFrontier]] = {"cost": ByCost, "frontier": ByFrontier}
"""By the names of the command line."""


def guide_named(name: str) -> type[ByCost | ByFrontier]:
    """The one of that name.

    Raises:
        InputError: there is none.
    """
    if name not in GUIDES:
        raise unknown_name("guide", name, GUIDES)
    return GUIDES[name]


def _sampler(seed: int) -> GPSampler:
    from optuna.samplers import GPSampler

    # Its seeds are of 32 bits.
    return GPSampler(seed=seed % 2**32, n_startup_trials=RANDOM)


def _expected(proposal: Proposal, proposals: Sequence[Proposal]) -> float:
    """Its cost; of one that was given up, by what the others' further paintings added."""
    own = proposal.costs
    others = [each.costs for each in proposals if each.is_complete]
    if proposal.is_complete or not others:
        return mean(own)
    return mean(own) + mean(mean(costs) - mean(costs[: len(own)]) for costs in others)


@contextmanager
def quietly() -> Iterator[None]:
    """Without what Optuna says of itself."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


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
