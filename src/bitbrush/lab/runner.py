"""Painting and judging the cells of a plan, each once, on one process or several.

What is finished lies in the laboratory's folder, a picture and what was found of it; so whoever is
interrupted, or killed, goes on where it was.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import InputError, PaintingError
from ..images import read_image
from ..images.files import write_atomically
from ..process_memory import forget_peak, peak_resident
from ..style.paint import Session
from ..style.sources import as_style
from .artefacts import artefacts
from .budget import Budget
from .judge import Case, Judge
from .plan import Cell, Sources, cells_once
from .rows import Row

Advance = Callable[[float, str], None]
"""Told how many paintings are done, with a part of the one at work, and a remark."""

LISTEN = 0.5
"""Seconds between two looks at whether somebody wants to stop, while others paint."""

CASES = 4
"""Pairs whose features by the judge are kept."""


@dataclass
class Laboratory:
    """A folder of paintings, and how they are made.

    Attributes:
        folder: for everything.
        judge: name of the network that judges; None: nobody.
        workers: processes that paint at a time.
        budget: beyond which no painting is begun.
    """

    folder: Path
    judge: str | None
    workers: int = 1
    budget: Budget = field(default_factory=Budget)
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.judge is not None:
            _judge(self.judge)  # so that a missing one is known before anything is painted
        (self.folder / "paintings").mkdir(parents=True, exist_ok=True)

    def rows(self, cells: Sequence[Cell], advance: Advance) -> list[Row]:
        """Paints and judges what is not there yet.

        Returns:
            a row for each cell that there is a painting of, in order; fewer than cells where the
            budget was not enough.
        """
        whole = cells_once(cells)
        found: dict[str, dict[str, Any]] = {}
        for cell in whole:
            held = _held(self.folder, cell)
            if held is not None and len(found) < self.budget.paintings:
                found[cell.key] = held
        missing = [
            cell
            for cell in whole
            if cell.key not in found or found[cell.key].get("judge") != self.judge
        ]
        done = len(whole) - len(missing)
        advance(done, "")
        for cell, result in self._made(missing, done, advance):
            found[cell.key] = result
        return [Row(cell, found[cell.key]) for cell in cells if cell.key in found]

    def check(self, cells: Sequence[Cell]) -> None:
        """Makes sure, with one cell of each network, that they can be painted.

        Raises:
            InputError: one cannot, for instance because it is too small for its network.
        """
        first: dict[Any, Cell] = {}
        for cell in cells:
            first.setdefault(cell.settings["network"], cell)
        for cell in first.values():
            Session(cell.sources.content, [cell.sources.style], cell.full_settings())

    def _within_budget(self, done: int) -> bool:
        elapsed = time.monotonic() - self._started
        return done < self.budget.paintings and elapsed < self.budget.seconds

    def _made(
        self, cells: Sequence[Cell], done: int, advance: Advance
    ) -> Iterator[tuple[Cell, dict[str, Any]]]:
        if self.workers > 1:
            yield from self._made_by_many(cells, done, advance)
            return
        for cell in cells:
            if not self._within_budget(done):
                break

            def note(share: float, cell: Cell = cell, done: int = done) -> None:
                advance(done + share, _title(cell))

            result = make(cell, self.folder, self.judge, note)
            done += 1
            advance(done, _title(cell))
            yield cell, result

    def _made_by_many(
        self, cells: Sequence[Cell], done: int, advance: Advance
    ) -> Iterator[tuple[Cell, dict[str, Any]]]:
        left = list(reversed(cells))
        running: dict[Future[dict[str, Any]], Cell] = {}
        with _pool(self.workers) as pool:
            while left or running:
                while left and len(running) < self.workers:
                    if not self._within_budget(done + len(running)):
                        left.clear()
                        break
                    cell = left.pop()
                    running[pool.submit(make, cell, self.folder, self.judge)] = cell
                finished, _ = wait(running, LISTEN, FIRST_COMPLETED)
                advance(done, "")
                for future in finished:
                    cell = running.pop(future)
                    done += 1
                    advance(done, _title(cell))
                    try:
                        yield cell, future.result()
                    except BrokenProcessPool:
                        raise InputError(
                            "a process that painted was killed, perhaps for want of memory; "
                            "run the same command with fewer --workers to go on"
                        ) from None


def _title(cell: Cell) -> str:
    return " ".join(part for part in (cell.sources.name, cell.row, cell.column) if part)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    # Forked ones would inherit torch's threads, which do not live on in them.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_signals)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    pool.shutdown()


def _leave_signals() -> None:
    """Ctrl-C reaches every process of a terminal; the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _files(folder: Path, cell: Cell) -> tuple[Path, Path]:
    picture = folder / "paintings" / f"{cell.key}.png"
    return picture, picture.with_suffix(".json")


def _held(folder: Path, cell: Cell) -> dict[str, Any] | None:
    """What was found of a painting that is there."""
    picture, told = _files(folder, cell)
    try:
        held: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held if picture.exists() or held.get("error") else None


def make(
    cell: Cell, folder: Path, judge: str | None, note: Callable[[float], None] = lambda share: None
) -> dict[str, Any]:
    """Paints and judges a cell, as far as that has not been done, and keeps what was found.

    Args:
        folder: of the laboratory.
        judge: name of the judge, or None.
        note: told the share that is done.
    Returns:
        what `Row.found` holds.
    """
    found = _held(folder, cell)
    if found is None:
        found = _painted(cell, folder, note)
    if found.get("judge") != judge or "judge" not in found:
        found |= _judged(cell, folder, judge)
    _, told = _files(folder, cell)
    write_atomically(told, json.dumps(found, indent=1).encode())
    return found


def _painted(cell: Cell, folder: Path, note: Callable[[float], None]) -> dict[str, Any]:
    picture, _ = _files(folder, cell)
    settings = cell.full_settings()
    _forget_peak()
    started = time.monotonic()
    session = Session(cell.sources.content, [cell.sources.style], settings)
    loaded = time.monotonic()
    losses: dict[str, float] = {}
    error: str | None = None
    done = 0
    try:
        for step in session.steps():
            note(step.done / step.steps)
            losses, done = dict(step.losses), step.done
            if step.done >= step.steps:
                session.painting(step).save(picture)
    except PaintingError as failure:
        error = str(failure)
        if failure.picture is not None:
            session.finished(failure.picture, losses, [], done, done).save(picture)
    return {
        "network": settings.network,
        "steps": done,
        "seconds": round(time.monotonic() - loaded, 3),
        "seconds_to_load": round(loaded - started, 3),
        "peak_mb": _peak_mb(),
        "loss": sum(losses.values()),
        "losses": losses,
        "threads": session.threads,
        "engine": session.job.network.engine,
        "precision": session.job.network.precision,
        "error": error,
    }


def _forget_peak() -> None:
    with suppress(InputError):
        forget_peak()


def _peak_mb() -> float | None:
    try:
        return round(peak_resident() / 1e6, 1)
    except InputError:
        return None


def _judged(cell: Cell, folder: Path, judge: str | None) -> dict[str, Any]:
    """Distances and artefacts, where the painting allows."""
    found: dict[str, Any] = {"judge": judge}
    picture, _ = _files(folder, cell)
    if not picture.exists():
        return found
    painting = read_image(picture).rgb
    height, width = painting.shape[-2:]
    style = as_style(cell.sources.style, max(height, width)).rgb
    if judge is not None:
        distances = _case(judge, cell.sources, height, width).distances(painting)
        found |= {"style_distance": distances.style, "content_distance": distances.content}
    return found | _artefacts(painting, style)


def _artefacts(painting: Tensor, style: Tensor) -> dict[str, float]:
    try:
        found = artefacts(painting, style)
    except InputError:  # too small to tell
        return {}
    return {
        "grid": found.grid,
        "grid_of_style": found.grid_of_style,
        "noise": found.noise,
        "chroma_noise": found.chroma_noise,
        "border": found.border,
    }


@cache
def _judge(name: str) -> Judge:
    return Judge.load(name)


_cases: dict[tuple[str, Sources, int, int], Case] = {}


def _case(judge: str, sources: Sources, height: int, width: int) -> Case:
    key = (judge, sources, height, width)
    if key not in _cases:
        while len(_cases) >= CASES:
            _cases.pop(next(iter(_cases)))
        content = read_image(sources.content).rgb
        style = as_style(sources.style, max(height, width)).rgb
        _cases[key] = Case(_judge(judge), content, style, height, width)
    return _cases[key]


def threads_each(workers: int) -> int:
    """CPU threads for each painting, so that all together have one for each core."""
    return max((os.cpu_count() or 1) // workers, 1)
