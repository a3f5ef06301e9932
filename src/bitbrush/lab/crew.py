"""Who paints the cells of a plan, if it is not this process alone."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ..errors import InputError
from .making import make
from .plan import Cell

Finished = list[tuple[Cell, dict[str, Any]]]


class Crew(Protocol):
    """Several painters.

    Attributes:
        size: cells that they paint at a time.
    """

    size: int

    def begin(self, cell: Cell) -> None:
        """Hands a cell to whoever is free."""

    def finished(self, seconds: float) -> Finished:
        """Cells that have been finished and kept since the last call, waiting so long for one.

        Raises:
            InputError: one cannot be painted, or a painter was lost for good.
        """


class Processes:
    """Processes of this machine.

    Args:
        pool: of them.
        folder: of the laboratory.
        judge: name of the judge, or None.
    """

    def __init__(
        self, pool: ProcessPoolExecutor, size: int, folder: Path, judge: str | None
    ) -> None:
        self.size = size
        self._pool, self._folder, self._judge = pool, folder, judge
        self._running: dict[Future[dict[str, Any]], Cell] = {}

    def begin(self, cell: Cell) -> None:
        self._running[self._pool.submit(make, cell, self._folder, self._judge)] = cell

    def finished(self, seconds: float) -> Finished:
        done, _ = wait(self._running, seconds, FIRST_COMPLETED)
        try:
            return [(self._running.pop(future), future.result()) for future in done]
        except BrokenProcessPool:
            raise InputError(
                "a process that painted was killed, perhaps for want of memory; "
                "run the same command with fewer --workers to go on"
            ) from None


@contextmanager
def processes(workers: int, folder: Path, judge: str | None) -> Iterator[Processes]:
    """So many processes, which end with the context."""
    # Forked ones would inherit torch's threads, which do not live on in them.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_signals)
    try:
        yield Processes(pool, workers, folder, judge)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    pool.shutdown()


def _leave_signals() -> None:
    """Ctrl-C reaches every process of a terminal; the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
