"""A lesson from its plan to its report, in a folder that can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_atomically
from ..errors import InputError
from ..networks.registry import NETWORKS
from ..style.settings import make_settings
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
    """

    report: Path
    table: Path
    rows: Sequence[Row]
    planned: int


def networks_for(lesson: Lesson, named: Sequence[str]) -> dict[str, Contestant]:
    """Those named, or the lesson's own, or all whose weights are on this machine, by their labels.

    Raises:
        InputError: as `contestants`.
    """
    return contestants(named or at_hand(lesson.networks or NETWORKS))


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
        InputError: settings that the lesson's plan leads to are no good, or a file cannot be
            written.
    """
    cells = lesson.cells(request)
    for cell in cells:
        make_settings(cell.settings)
    laboratory.check(cells)
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
    facts = {
        "command": command,
        "judge": laboratory.judge or "none",
        "networks": "; ".join(request.networks),
        "pairs": ", ".join(sources.name for sources in request.sources),
        "paintings": f"{there} of {planned}, {request.size} px, {request.steps} steps, "
        f"{request.threads} threads each",
        "time to paint them": f"{seconds / 60:.1f} minutes",
    }
    said = lesson.findings(request, rows) if findings is None else findings
    write_report(report, lesson.title, lesson.question, rows, said, facts)
    return Outcome(report, table, rows, planned)


def check_extras() -> None:
    """Makes sure, before anything is painted, that all that comes at the end can be written."""
    check_tables()
    check_reports()


def threads_in(folder: Path, asked: int | None, workers: int) -> int:
    """Threads of each painting: those asked for, else those the folder was begun with.

    Another number would give other pictures, and all would have to be painted again.

    Raises:
        InputError: the folder is another lesson's, or its plan cannot be read.
    """
    held = _plan(folder)
    threads = asked or held.get("threads") or threads_each(workers)
    return int(threads)


def claim(folder: Path, lesson: Lesson, request: Request) -> None:
    """Notes what the folder is for.

    Raises:
        InputError: it is another lesson's already.
    """
    held = _plan(folder)
    if held and held.get("lesson") != lesson.name:
        raise InputError(f"{folder} holds the laboratory {held.get('lesson')!r}; name another -o")
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "lesson": lesson.name,
        "pairs": [sources.name for sources in request.sources],
        "networks": list(request.networks),
        "size": request.size,
        "steps": request.steps,
        "threads": request.threads,
        "seed": request.seed,
    }
    text = json.dumps(told, indent=1)
    write_atomically(folder / PLAN, text.encode())


def _plan(folder: Path) -> dict[str, Any]:
    path = folder / PLAN
    if not path.exists():
        return {}
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return held if isinstance(held, dict) else {}
