"""Judging many paintings at a time: by several processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..style.paint import threads as limited
from .cluster import Errand, Hands, connected, is_elsewhere
from .crew import Crew, carried_out, processes
from .elsewhere import Files
from .evaluate import Evaluation, Made, evaluate
from .judge import judge_named
from .runner import threads_each


def evaluations_by_many(
    made: Sequence[Made], judge: str, device: str = "cpu", workers: int = 1, ray: str | None = None
) -> Iterator[Evaluation]:
    """Judges each painting once, and hands them out in the order of the paintings.

    Args:
        judge: name of a network that took no part in the paintings.
        device: of each process.
        workers: processes that judge at a time.
        ray: address of a cluster that judges instead; "local": one on this machine alone.
    Raises:
        InputError: a painting cannot be judged, or whoever judged it was lost for good; or as
            `connected`.
    """
    # One thread for each, where it is not known how many cores the machines have.
    threads = 1 if is_elsewhere(ray) else threads_each(workers)
    crew: AbstractContextManager[Crew[Made, Evaluation]]
    if ray is None:
        work = partial(judged, judge=judge, device=device, threads=threads)
        crew = processes(min(workers, len(made)), work)
    elif device != "cpu":
        raise InputError(f"a cluster judges on CPUs, not on {device}; leave out --device or --ray")
    else:
        crew = judges(ray, workers, threads, judge)
    waiting = list(reversed(made))
    found: dict[Made, Evaluation] = {}
    with crew as able:
        for finished in carried_out(able, dict.fromkeys(made)):
            found |= finished
            while waiting and waiting[-1] in found:
                yield found[waiting.pop()]


def judged(made: Made, judge: str, device: str, threads: int) -> Evaluation:
    """The painting under a judge that this process loads once, by so many CPU threads."""
    with limited(threads):
        return evaluate(made.painting, made.content, made.style, judge_named(judge, device))


@contextmanager
def judges(address: str, workers: int, threads: int, judge: str) -> Iterator[Judges]:
    """Judges on a cluster, until the context ends.

    Args:
        address, workers, threads: as for `connected`, of a painting.
    Raises:
        InputError: as `connected`.
    """
    with connected(address, workers, threads) as size:
        yield Judges(size, threads, judge)


class Judges(Hands[Made, Evaluation]):
    """A crew of a cluster, all of whom judge by one network."""

    def __init__(self, size: int, threads: int, judge: str) -> None:
        super().__init__(size, threads)
        self._threads, self._judge = threads, judge

    def _errand(self, task: Made) -> Errand:
        style = Path(task.style)
        return Errand(
            task.painting.name,
            partial(judged_anywhere, task, self._judge, self._threads),
            [task.content, *([style] if style.is_file() else [])],
            [task.painting],
            [self._judge],
        )

    def _keep(self, task: Made, brought: Evaluation) -> Evaluation:
        return brought


def judged_anywhere(made: Made, judge: str, threads: int, files: Files) -> Evaluation:
    """As `judged`, on whichever machine this runs."""
    style = files.get(Path(made.style), made.style)
    here = Made(files[made.painting], files[made.content], style)
    return judged(here, judge, "cpu", threads)
