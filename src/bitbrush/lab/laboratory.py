"""A lesson from its plan to its report, in a folder that can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_atomically
from ..cores import usable_cores
from ..errors import InputError
from ..networks.registry import NETWORKS
from .contestants import Contestant, at_hand, contestants
from .lessons import Lesson, Request
from .report import Findings
from .report.page import check_reports, write_report
from .rows import Row, check_tables, write_table
from .runner import Advance, Laboratory, threads_each

PLAN = "plan.json"
"""The file that says what a folder was begun with."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        report, table: the files that were written.
        rows: of the paintings that there are.
        planned: paintings that the plan has.
        remarks: what a reader of the figures has to know first.
    """

    report: Path
    table: Path
    rows: Sequence[Row]
    planned: int
    remarks: Sequence[str]


def networks_for(
    lesson: Lesson, named: Sequence[str], judge: str | None = None
) -> dict[str, Contestant]:
    """Those named, or the lesson's own, or all whose weights are on this machine, by their labels.

    Args:
        judge: that is left out of all: it would judge its own paintings.
    Raises:
        InputError: as `contestants`.
    """
    every = [name for name in NETWORKS if name != judge]
    return contestants(named or at_hand(lesson.networks or every))


def run_lesson(
    lesson: Lesson,
    request: Request,
    laboratory: Laboratory,
    command: str,
    advance: Advance,
) -> Outcome:
    """Paints what the lesson plans, as far as the budget goes, and writes table and report.

    Args:
        command: that the user gave, for the report.
    Raises:
        InputError: something that the lesson's plan leads to cannot be painted, or a file cannot
            be written.
    """
    cells = lesson.cells(request)
    laboratory.check(cells, advance)
    claim(laboratory.folder, lesson.name, plan_of(request))
    rows = laboratory.rows(cells, advance)
    return finish(lesson, request, laboratory, command, rows, len({cell.key for cell in cells}))


def finish(
    lesson: Lesson,
    request: Request,
    laboratory: Laboratory,
    command: str,
    rows: Sequence[Row],
    planned: int,
    findings: Findings | None = None,
) -> Outcome:
    """Writes table and report of what has been painted.

    Args:
        findings: the lesson's own, unless they are given.
    """
    report, table = laboratory.folder / "report.html", laboratory.folder / "results.parquet"
    write_table(rows, table)
    seconds = sum(row.found["seconds"] for row in {row.cell.key: row for row in rows}.values())
    there = len({row.cell.key for row in rows})
    remarks = _remarks(request, laboratory, there, planned)
    facts = {
        "command": command,
        **_working_folder(request, laboratory),
        "judge": laboratory.judge or "none",
        "networks": "; ".join(request.networks),
        "pairs": ", ".join(sources.name for sources in request.sources),
        "paintings": f"{there} of {planned}, {request.size} px, {request.steps} steps, "
        f"{request.threads} threads each",
        "time to paint them": f"{seconds / 60:.1f} minutes",
    }
    said = lesson.findings(request, rows) if findings is None else findings
    write_report(report, lesson.title, lesson.question, rows, said, facts, remarks)
    return Outcome(report, table, rows, planned, remarks)


def _working_folder(request: Request, laboratory: Laboratory) -> dict[str, str]:
    """Where the commands' paths begin, unless all of them are whole."""
    paths = [laboratory.folder]
    for sources in request.sources:
        paths += [sources.content, Path(sources.style)]
    paths += [Path(by.weights) for by in request.networks.values()]
    # Names of built-in styles and of default weights are no paths.
    whole = all(path.is_absolute() for path in paths if path.exists())
    return {} if whole else {"working folder": str(Path.cwd())}


def _remarks(request: Request, laboratory: Laboratory, there: int, planned: int) -> list[str]:
    found = []
    if there < planned:
        found.append(f"{there} of {planned} paintings are there, so all figures are of a part.")
    judge = laboratory.judge
    if any(each.network == judge for each in request.networks.values()):
        found.append(f"{judge} painted and judged: the distances of its paintings prove little.")
    return found


def check_extras() -> None:
    """Makes sure, before anything is painted, that all that comes at the end can be written."""
    check_tables()
    check_reports()


def threads_in(folder: Path, asked: int | None, workers: int, elsewhere: bool = False) -> int:
    """Threads of each painting: those asked for, else those the folder was begun with.

    Another number would give other pictures, and all would have to be painted again.

    Args:
        workers: processes that paint at a time.
        elsewhere: on other machines, whose cores are not known.
    Raises:
        InputError: the folder's plan cannot be read, or the workers want more cores than there are.
    """
    held = noted(folder, "threads")
    threads = int(asked or held or (1 if elsewhere else threads_each(workers)))
    cores = usable_cores()
    if not elsewhere and workers > 1 and workers * threads > cores:
        raise InputError(
            f"--workers {workers} with {threads} threads each take {workers * threads} cores, and "
            f"there are {cores}; use --workers {max(cores // threads, 1)}"
            + (f", or another -o: {folder} was begun with that" if held and not asked else "")
        )
    return threads


def noted(folder: Path, name: str) -> Any:
    """What a folder was begun with, of what `claim` was told; None if that is not there.

    Raises:
        InputError: the folder's plan cannot be read.
    """
    return _plan(folder).get(name)


def check_folder(folder: Path, lesson: str) -> None:
    """Makes sure that a folder is free for a lesson, or is its own.

    Raises:
        InputError: it is a file, or another lesson's.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder with -o")
    held = _plan(folder)
    if held and held.get("lesson") != lesson:
        raise InputError(f"{folder} holds the laboratory {held.get('lesson')!r}; name another -o")


def claim(folder: Path, lesson: str, plan: Mapping[str, Any]) -> None:
    """Notes what the folder is for.

    Args:
        plan: what else is noted, of plain values; see `threads_in` and `noted`.
    Raises:
        InputError: as `check_folder`, or it cannot be written.
    """
    check_folder(folder, lesson)
    text = json.dumps({"lesson": lesson, **plan}, indent=1)
    write_atomically(folder / PLAN, text.encode(), parents=True)


def plan_of(request: Request) -> dict[str, Any]:
    """What a folder's plan notes of a request."""
    return {
        "pairs": [sources.name for sources in request.sources],
        "networks": list(request.networks),
        "size": request.size,
        "steps": request.steps,
        "threads": request.threads,
        "seed": request.seed,
    }


def _plan(folder: Path) -> dict[str, Any]:
    path = folder / PLAN
    if not path.exists():
        return {}
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return held if isinstance(held, dict) else {}
