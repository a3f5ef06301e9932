"""`bitbrush lab`: experiments of many paintings, each with a report."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .app import app, options
from .networks import AsJson
from .progress import progress
from .signals import Interruptions

if TYPE_CHECKING:
    from ..lab.laboratory import Outcome
    from ..lab.lessons import Lesson, Request
    from ..lab.runner import Laboratory

lab = typer.Typer(
    help="Run an experiment of many paintings, and write a report to look at.",
    no_args_is_help=True,
)
app.add_typer(lab, name="lab")

Content = Annotated[
    Path, typer.Option(help="A photograph, or a folder of them.", show_default=False)
]
Style = Annotated[
    str,
    typer.Option(
        help="A style picture, a folder of them, or a built-in style.", show_default=False
    ),
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", help="A network to paint with; repeat it for several."),
]
Output = Annotated[
    Path,
    typer.Option("-o", "--output", help="Folder for everything made.", show_default=False),
]
Size = Annotated[int, typer.Option(min=16, help="Long edge of the paintings in pixels.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of each painting.")]
Limit = Annotated[
    str | None,
    typer.Option("--budget", help="Paintings (200) or time (90m, 2h) beyond which none is begun."),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes that paint at a time.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads of each painting; cores over workers.")
]
JudgeName = Annotated[
    str, typer.Option("--judge", help="The network that judges, or 'none' to do without.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]


def _command(name: str, summary: str) -> Callable[..., None]:
    """The command of a lesson; all take the same options."""

    def run(
        content: Content,
        style: Style,
        output: Output,
        networks: Networks = None,
        size: Size = 256,
        steps: Steps = 450,
        budget: Limit = None,
        workers: Workers = 1,
        threads: Threads = None,
        judge: JudgeName = "squeezenet",
        seed: Seed = 0,
        as_json: AsJson = False,
    ) -> None:
        from ..lab.lessons.every import LESSONS

        lesson = LESSONS[name]
        request, laboratory = prepared(
            lesson, content, style, output, networks, size, steps, budget, workers, threads, judge,
            seed,
        )  # fmt: skip
        run_and_tell(lesson, request, laboratory, as_json)

    run.__doc__ = summary
    return run


def prepared(
    lesson: Lesson,
    content: Path,
    style: str,
    output: Path,
    networks: list[str] | None,
    size: int,
    steps: int,
    budget: str | None,
    workers: int,
    threads: int | None,
    judge: str,
    seed: int,
) -> tuple[Request, Laboratory]:
    """Checks all that was asked for, before anything is painted.

    Raises:
        InputError: something of it is no good.
    """
    from ..lab.budget import Budget, parse_budget
    from ..lab.laboratory import check_extras, claim, networks_for, threads_in
    from ..lab.lessons import Request
    from ..lab.plan import sources_of
    from ..lab.runner import Laboratory

    limit = Budget() if budget is None else parse_budget(budget)
    check_extras()
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; name a folder with -o")
    request = Request(
        sources=sources_of(content, style),
        networks=networks_for(lesson, networks or []),
        size=size,
        steps=steps,
        threads=threads_in(output, threads, workers),
        seed=seed,
    )
    laboratory = Laboratory(output, None if judge == "none" else judge, workers, limit)
    claim(output, lesson, request)
    return request, laboratory


def run_and_tell(lesson: Lesson, request: Request, laboratory: Laboratory, as_json: bool) -> None:
    """Paints with one progress display, and says where the report is."""
    from ..lab.laboratory import run_lesson
    from ..lab.plan import cells_once

    total = len(cells_once(lesson.cells(request)))
    total = int(min(total, laboratory.budget.paintings))
    command = shlex.join(["bitbrush", *sys.argv[1:]])
    with Interruptions() as interruptions, progress(lesson.name, total) as bar:

        def advance(done: float, note: str) -> None:
            bar.update(done, f"{int(done)}/{total} {note}")
            if interruptions.waiting:
                interruptions.deliver("run the same command again to go on")

        outcome = run_lesson(lesson, request, laboratory, command, advance)
    tell(outcome, as_json)


def tell(outcome: Outcome, as_json: bool) -> None:
    """Where the files are, and how much of the plan there is."""
    there = len({row.cell.key for row in outcome.rows})
    if as_json:
        held = {"report": str(outcome.report), "table": str(outcome.table)}
        rows = [row.flat() for row in outcome.rows]
        print(json.dumps({**held, "planned": outcome.planned, "paintings": there, "rows": rows}))
    elif not options.quiet:
        print(f"{outcome.report}: {there} of {outcome.planned} paintings")
        if there < outcome.planned:
            print("The budget was reached; the same command with a larger one goes on.")


lab.command("tv")(
    _command("tv", "Total variation, from none to a million times too much (lesson 2).")
)
lab.command("style-taps")(
    _command("style-taps", "One painting for every style tap: what each layer hears (lesson 3).")
)
lab.command("content-taps")(
    _command("content-taps", "Every content tap, and combinations, cross-validated (lesson 4).")
)
lab.command("pooling")(
    _command("pooling", "Maximum against average pooling, and where blocks come from (lesson 5).")
)
lab.command("networks")(
    _command("networks", "All networks on the same pairs: pictures, speed, memory (lesson 6).")
)
