"""Who does the pieces of a plan, if it is not this process alone."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from ..errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")

LISTEN = 0.5
"""Seconds between two looks at whether somebody wants to stop, while others work."""


class Crew(Protocol[Task, Result]):
    """Several workers.

    Attributes:
        size: tasks that they work on at a time.
    """

    size: int

    def begin(self, task: Task) -> None:
        """Hands a task to whoever is free."""

    def finished(self, seconds: float) -> list[tuple[Task, Result]]:
        """Tasks that have been finished since the last call, waiting so long for one.

        Raises:
            InputError: one cannot be done, or a worker was lost for good.
        """


def carried_out(
    crew: Crew[Task, Result], tasks: Iterable[Task]
) -> Iterator[list[tuple[Task, Result]]]:
    """Lets a crew do all tasks, each once.

    Args:
        tasks: of which the next is asked for only when there is somebody to begin it.
    Yields:
        what was finished, in no order; nothing from time to time, so that whoever iterates can
        stop.
    """
    waiting = iter(tasks)
    left, running = True, 0
    while left or running:
        while left and running < crew.size:
            try:
                crew.begin(next(waiting))
            except StopIteration:
                left = False
            else:
                running += 1
        if running:
            finished = crew.finished(LISTEN)
            running -= len(finished)
            yield finished


class Processes(Generic[Task, Result]):
    """Processes of this machine.

    Args:
        pool: of them.
        work: what is done with a task; it is pickled.
    """

    def __init__(
        self, pool: ProcessPoolExecutor, size: int, work: Callable[[Task], Result]
    ) -> None:
        self.size = size
        self._pool, self._work = pool, work
        self._running: dict[Future[Result], Task] = {}

    def begin(self, task: Task) -> None:
        self._running[self._pool.submit(self._work, task)] = task

    def finished(self, seconds: float) -> list[tuple[Task, Result]]:
        done, _ = wait(self._running, seconds, FIRST_COMPLETED)
        try:
            return [(self._running.pop(future), future.result()) for future in done]
        except BrokenProcessPool:
            raise InputError(
                "a process was killed, perhaps for want of memory; "
                "run the same command again with fewer --workers"
            ) from None


@contextmanager
def processes(workers: int, work: Callable[[Task], Result]) -> Iterator[Processes[Task, Result]]:
    """So many processes, which end with the context."""
    # Forked ones would inherit torch's threads, which do not live on in them.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_serve)
    try:
        yield Processes(pool, workers, work)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    pool.shutdown()


def _serve() -> None:
    """Makes a process one of the crew, which the first process ends, and nobody else."""
    # Ctrl-C reaches every process of a terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first = multiprocessing.parent_process()
    if first is not None:
        threading.Thread(target=_end_with, args=(first.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """Ends this process when the first one is gone: one that was killed sends nobody home."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
