"""Painting and judging the cells of a plan, each once, on one process or several.

What is finished lies in the laboratory's folder, a picture and what was found of it; so whoever is
interrupted, or killed, goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any

from ..atomic import make_folder
from ..cores import usable_cores
from .budget import Budget
from .checking import check_plan
from .cluster import is_elsewhere
from .crew import Crew, carried_out, processes
from .judge import judge_named
from .making import clear_parts, held, is_judged, make
from .plan import Cell, cells_once, pair_by_pair
from .rows import Row

Advance = Callable[[float, str], None]
"""Told how many paintings are done, with a part of the one at work, and a remark."""


@dataclass
class Laboratory:
    """A folder of paintings, and how they are made.

    A context: whoever paints beside this process is called at the first painting, stays for the
    next ones, and goes with the context.

    Attributes:
        folder: for everything.
        judge: name of the network that judges; None: nobody.
        workers: processes that paint at a time.
        ray: address of a cluster that paints instead; "local": one on this machine alone.
        threads: of each painting, which a cluster keeps free for it.
        budget: beyond which no painting is begun.
    """

    folder: Path
    judge: str | None
    workers: int = 1
    budget: Budget = field(default_factory=Budget)
    ray: str | None = None
    threads: int = 1
    _started: float = field(default_factory=time.monotonic)
    _called: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        if self.judge is not None:
            judge_named(self.judge)  # so that a missing one is known before anything is painted

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._called.__exit__(kind, error, trace)

    def rows(self, cells: Sequence[Cell], advance: Advance) -> list[Row]:
        """Paints and judges what is not there yet, pair by pair.

        Returns:
            a row for each cell that there is a painting of, with the judgement asked for, in order;
            fewer than cells where the budget was not enough.
        """
        whole = cells_once(pair_by_pair(cells))
        found: dict[str, dict[str, Any]] = {}
        for cell in whole:
            known = self._held(cell)
            if known is not None and len(found) < self.budget.paintings:
                found[cell.key] = known
        missing = [cell for cell in whole if cell.key not in found]
        done = len(whole) - len(missing)
        advance(done, "")
        for cell, result in self._made(missing, done, advance):
            found[cell.key] = result
        return [Row(cell, found[cell.key]) for cell in cells if cell.key in found]

    def _held(self, cell: Cell) -> dict[str, Any] | None:
        known = held(self.folder, cell)
        return known if known is not None and is_judged(known, self.judge) else None

    def check(self, cells: Sequence[Cell], advance: Advance) -> None:
        """Makes sure that those cells which are not there yet can be painted and judged.

        Raises:
            InputError: as `checking.check_plan`.
        """
        whole = cells_once(cells)
        missing = [cell for cell in whole if self._held(cell) is None]
        done = len(whole) - len(missing)
        check_plan(
            missing,
            1 if is_elsewhere(self.ray) else self.workers,
            None if self.judge is None else judge_named(self.judge),
            lambda name: advance(done, f"looking at {name}"),
        )

    def _within_budget(self, done: int) -> bool:
        elapsed = time.monotonic() - self._started
        return done < self.budget.paintings and elapsed < self.budget.seconds

    def _affordable(self, cells: Sequence[Cell], done: int) -> Iterator[Cell]:
        """Those that the budget allows, each asked for when somebody can begin it."""
        for begun, cell in enumerate(cells, done):
            if not self._within_budget(begun):
                return
            yield cell

    def _made(
        self, cells: Sequence[Cell], done: int, advance: Advance
    ) -> Iterator[tuple[Cell, dict[str, Any]]]:
        if cells:
            make_folder(self.folder / "paintings")
            clear_parts(self.folder)
        if self.workers > 1 or self.ray is not None:
            yield from self._made_by_many(cells, done, advance)
            return
        for cell in self._affordable(cells, done):

            def note(share: float, cell: Cell = cell, done: int = done) -> None:
                advance(done + share, _title(cell))

            result = make(cell, self.folder, self.judge, note)
            done += 1
            advance(done, _title(cell))
            yield cell, result

    def _made_by_many(
        self, cells: Sequence[Cell], done: int, advance: Advance
    ) -> Iterator[tuple[Cell, dict[str, Any]]]:
        if not cells:
            return
        for finished in carried_out(self._crew, self._affordable(cells, done)):
            advance(done, "")
            for cell, result in finished:
                done += 1
                advance(done, _title(cell))
                yield cell, result

    @cached_property
    def _crew(self) -> Crew[Cell, dict[str, Any]]:
        crew: AbstractContextManager[Crew[Cell, dict[str, Any]]]
        if self.ray is not None:
            from .painters import painters

            crew = painters(self.ray, self.workers, self.threads, self.folder, self.judge)
        else:
            crew = processes(self.workers, partial(make, folder=self.folder, judge=self.judge))
        return self._called.enter_context(crew)


def _title(cell: Cell) -> str:
    return " ".join(part for part in (cell.sources.name, cell.row, cell.column) if part)


def threads_each(workers: int) -> int:
    """CPU threads for each painting, so that all together have one for each core."""
    return max(usable_cores() // workers, 1)
