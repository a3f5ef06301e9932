"""`bitbrush lab`: experiments of many paintings, each with a report."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .app import app, options
from .crew_options import RayAddress, Workers, crew_size
from .networks import AsJson
from .progress import progress
from .signals import Interruptions

if TYPE_CHECKING:
    from ..lab.budget import Budget
    from ..lab.laboratory import Outcome
    from ..lab.lessons import Lesson, Request
    from ..lab.plan import Sources
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
OneToOne = Annotated[
    bool,
    typer.Option(
        "--one-to-one",
        help="The first photograph with the first style, the second with the second, by their "
        "names, not every one with every one: pairs that share no picture tell more each.",
    ),
]
Networks = Annotated[
    list[str] | None,
    typer.Option(
        "--network",
        help="A network to paint with; repeat it for several. NAME=FILE gives it the weights of a "
        "file, NAME=none random ones, as a control.",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        help="Pictures named by their WordNet id, to measure top-1 on.", show_default=False
    ),
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
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads of each painting; cores over workers.")
]
JudgeName = Annotated[
    str, typer.Option("--judge", help="The network that judges, or 'none' to do without.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]


QUICKBRUSH = ("quickbrush",)


def _command(name: str, summary: str, usual: Sequence[str] = ()) -> Callable[..., None]:
    """The command of a lesson; all take the same options.

    Args:
        usual: the lesson's networks; empty: all whose weights are there.
    """

    def run(
        content: Content,
        style: Style,
        output: Output,
        networks: Networks = None,
        one_to_one: OneToOne = False,
        size: Size = 256,
        steps: Steps = 250,
        budget: Limit = None,
        workers: Workers = None,
        threads: Threads = None,
        ray: RayAddress = None,
        judge: JudgeName = "squeezenet",
        seed: Seed = 0,
        as_json: AsJson = False,
    ) -> None:
        from ..lab.budget import Budget, parse_budget
        from ..lab.lessons.every import LESSONS
        from ..lab.plan import sources_of

        lesson = LESSONS[name]
        limit = Budget() if budget is None else parse_budget(budget)
        request, laboratory = prepared(
            lesson, sources_of(content, style, one_to_one), output, networks, size, steps, limit,
            workers, threads, ray, judge, seed,
        )  # fmt: skip
        run_and_tell(lesson, request, laboratory, as_json)

    by = " and ".join(usual) or "all networks whose weights are here, but for the judge"
    run.__doc__ = f"{summary}\n\nWithout --network it paints with {by}."
    return run


def prepared(
    lesson: Lesson,
    sources: Sequence[Sources],
    output: Path,
    networks: list[str] | None,
    size: int,
    steps: int,
    budget: Budget,
    workers: int | None,
    threads: int | None,
    ray: str | None,
    judge: str,
    seed: int,
) -> tuple[Request, Laboratory]:
    """Checks what was asked for, as far as that needs no plan of what is painted.

    Raises:
        InputError: something of it is no good.
    """
    from ..lab.cluster import check_ray, is_elsewhere
    from ..lab.laboratory import check_extras, check_folder, networks_for, threads_in
    from ..lab.lessons import Request
    from ..lab.runner import Laboratory

    check_extras()
    check_folder(output, lesson.name)
    at_once = crew_size(workers, ray)
    if ray is not None:
        check_ray(ray)
    named = None if judge == "none" else judge
    request = Request(
        sources=sources,
        networks=networks_for(lesson, networks or [], named),
        size=size,
        steps=steps,
        threads=threads_in(output, threads, at_once, is_elsewhere(ray)),
        seed=seed,
    )
    return request, Laboratory(output, named, at_once, budget, ray, request.threads)


def run_and_tell(
    lesson: Lesson,
    request: Request,
    laboratory: Laboratory,
    as_json: bool,
    pictures: Sequence[tuple[Path, str]] = (),
) -> None:
    """Paints with one progress display, and says where the report is.

    Args:
        pictures: with their classes, to measure first how often the networks are right.
    Raises:
        InputError: no network can be right about them, or as `run_lesson`.
    """
    from ..lab.accuracy import accuracies, measurable
    from ..lab.laboratory import claim, plan_of, run_lesson
    from ..lab.plan import cells_once

    asked = measurable(request.networks.values()) if pictures else []
    before = len(asked)
    cells = lesson.cells(request)
    total = int(min(len(cells_once(cells)), laboratory.budget.paintings))
    with Interruptions() as interruptions, laboratory, progress(lesson.name, before + total) as bar:

        def tell_of(done: float, note: str) -> None:
            bar.update(done, note)
            if interruptions.waiting:
                interruptions.deliver("run the same command again to go on")

        def advance(done: float, note: str) -> None:
            tell_of(before + done, f"{int(done)}/{total} {note}")

        if asked:
            # Measuring may take long, so that what cannot be painted is told before.
            laboratory.check(cells, lambda done, note: tell_of(0, note))
            claim(laboratory.folder, lesson.name, plan_of(request))
            seen = accuracies(laboratory.folder, asked, pictures, tell_of)
            request = dataclasses.replace(request, seen=seen)
        outcome = run_lesson(lesson, request, laboratory, _told_command(), advance)
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
        for remark in outcome.remarks:
            print(remark)
        if there < outcome.planned:
            print("The budget was reached; the same command with a larger one goes on.")


lab.command("tv")(
    _command(
        "tv",
        "Total variation, from none to a million times too much (lesson 2).",
        ("quickbrush", "vgg19-16x"),
    )
)
lab.command("style-taps")(
    _command(
        "style-taps",
        "One painting for every style tap: what each layer hears (lesson 3).",
        QUICKBRUSH,
    )
)
lab.command("content-taps")(
    _command(
        "content-taps",
        "Every content tap, and combinations, cross-validated (lesson 4).",
        QUICKBRUSH,
    )
)
lab.command("pooling")(
    _command("pooling", "Maximum against average pooling, and where blocks come from (lesson 5).")
)


@lab.command()
def networks(
    content: Content,
    style: Style,
    output: Output,
    networks: Networks = None,
    images: Images = None,
    one_to_one: OneToOne = False,
    size: Size = 256,
    steps: Steps = 250,
    budget: Limit = None,
    workers: Workers = None,
    threads: Threads = None,
    ray: RayAddress = None,
    judge: JudgeName = "squeezenet",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """All networks on the same pairs: pictures, speed, memory (lesson 6).

    Without --network it paints with all networks whose weights are here, but for the judge.
    """
    from ..lab.accuracy import labelled
    from ..lab.budget import Budget, parse_budget
    from ..lab.lessons.networks import LESSON
    from ..lab.plan import sources_of

    limit = Budget() if budget is None else parse_budget(budget)
    request, laboratory = prepared(
        LESSON, sources_of(content, style, one_to_one), output, networks, size, steps, limit,
        workers, threads, ray, judge, seed,
    )  # fmt: skip
    pictures = [] if images is None else labelled(images)
    run_and_tell(LESSON, request, laboratory, as_json, pictures)


lab.command("gallery")(
    _command(
        "gallery", "Every content in every style, by networks with their own settings.", QUICKBRUSH
    )
)


@lab.command()
def groove(
    content: Content,
    style: Style,
    output: Output,
    network: Annotated[
        str, typer.Option(help="The network to search for; NAME=FILE with weights of a file.")
    ] = "quickbrush",
    one_to_one: OneToOne = False,
    size: Size = 256,
    steps: Steps = 250,
    budget: Annotated[
        str,
        typer.Option(
            help="Paintings of the search (60), or its time (90m, 2h). Judging what it finds comes "
            "on top: nine paintings and a few more for each pair."
        ),
    ] = "60",
    unseen: Annotated[
        int,
        typer.Option(
            min=0,
            help="Pairs left out of the search, to judge what it finds by; the search needs two "
            "more pairs.",
        ),
    ] = 6,
    content_distance: Annotated[
        float,
        typer.Option(
            min=0.05, help="Content distance wanted; a smaller one keeps more of the photograph."
        ),
    ] = 1.2,
    at_once: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Proposals made, and painted together, before the figures of the last ones are "
            "known; a folder keeps its number.",
            show_default="2",
        ),
    ] = None,
    guide: Annotated[
        str,
        typer.Option(
            help="What leads it: 'cost', which is the style distance at the content distance "
            "wanted, or 'frontier', which is style, content and artefacts together.",
        ),
    ] = "cost",
    workers: Workers = None,
    threads: Threads = None,
    ray: RayAddress = None,
    judge: Annotated[str, typer.Option(help="The network that judges.")] = "squeezenet",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Search for stable weights, from deliberately bad ones (lesson 1)."""
    from ..lab.budget import Budget, parse_budget
    from ..lab.laboratory import claim, finish, noted, plan_of
    from ..lab.lessons import groove as lesson
    from ..lab.lessons.guide import check_search, guide_named
    from ..lab.lessons.search import AT_ONCE, search
    from ..lab.plan import sources_of
    from ..lab.widening import WEIGHTS

    check_search()
    guide_named(guide)
    limit = parse_budget(budget)
    if not math.isfinite(content_distance):
        raise InputError("--content-distance is a number such as 1.2")
    request, laboratory = prepared(
        lesson.LESSON, sources_of(content, style, one_to_one), output, [network], size, steps,
        Budget(), workers, threads, ray, judge, seed,
    )  # fmt: skip
    if laboratory.judge is None:
        raise InputError("a search needs a judge")
    pairs = lesson.parted(request.sources, unseen)
    at_once = at_once or int(noted(output, "at_once") or AT_ONCE)
    most = limit.paintings + unseen * (2 * len(WEIGHTS) + 1)
    total = int(most) if math.isfinite(most) else None
    with Interruptions() as interruptions, laboratory, progress("groove", total) as bar:

        def advance(done: float, note: str) -> None:
            # A few more may be needed to compare what was found.
            of = "" if total is None else f"/{total}"
            bar.update(min(done, most), f"{int(done)}{of} {note}")
            if interruptions.waiting:
                interruptions.deliver("run the same command again to go on")

        laboratory.check(lesson.trial_cells(request, pairs), lambda done, note: advance(0, note))
        claim(output, lesson.LESSON.name, {**plan_of(request), "at_once": at_once})
        found = search(
            request, laboratory, limit, pairs.seen, advance, content_distance, at_once, guide
        )
        start = len(found.rows)
        judging = lesson.judged(
            request,
            found,
            pairs.unseen,
            laboratory,
            lambda done, note: advance(start + done, note),
        )
    outcome = finish(
        lesson.LESSON,
        request,
        laboratory,
        _told_command(),
        [*found.rows, *judging],
        len({row.cell.key for row in [*found.rows, *judging]}),
        lesson.findings(request, found, pairs.unseen, judging),
    )
    tell(outcome, as_json)


@lab.command()
def compress(
    output: Output,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            help="A network to measure; repeat it for several. NAME=FILE gives it the weights of a "
            "file, NAME=none random ones. Without it, every network.",
        ),
    ] = None,
    images: Images = None,
    as_json: AsJson = False,
) -> None:
    """What each network weighs, knows, and takes: the article's table."""
    from ..lab.accuracy import labelled, measurable
    from ..lab.contestants import RANDOM, at_hand, contestants
    from ..lab.laboratory import check_extras, check_folder, claim
    from ..lab.lessons import compress as lesson
    from ..lab.report.page import write_report
    from ..lab.rows import write_lines
    from ..networks.registry import NETWORKS

    check_extras()
    check_folder(output, "compress")
    pictures = [] if images is None else labelled(images)
    named = networks or list(NETWORKS)
    # Sizes and latencies do not depend on weights, so random ones do where there are no others.
    missing = set(NETWORKS) - set(at_hand(NETWORKS))
    compared = contestants(f"{name}={RANDOM}" if name in missing else name for name in named)
    if pictures:
        measurable(compared.values())  # or they would be for nothing
    claim(output, "compress", {"networks": list(compared)})
    measured = []
    with progress("compress", len(compared)) as bar:
        for done, each in enumerate(compared.values()):

            def advance(share: float, done: int = done, name: str = each.network) -> None:
                bar.update(done + share, name)

            measured.append(lesson.measured_once(output, each, pictures, advance))
    held = [dataclasses.asdict(each) for each in measured]
    report, table = output / "report.html", output / "results.parquet"
    write_lines([_flat(each) for each in held], table)
    write_report(
        report,
        "Compression",
        "What each network weighs in memory and on disk, what it knows, and how long it takes: the "
        "article's table, for every network.",
        [],
        lesson.findings(measured),
        {"command": _told_command()},
    )
    if as_json:
        print(json.dumps({"report": str(report), "table": str(table), "networks": held}))
    elif not options.quiet:
        print(f"{report}: {len(measured)} networks")


def _flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """With what lies in a mapping beside the rest, as latency_packed."""
    found: dict[str, Any] = {}
    for name, value in told.items():
        if isinstance(value, Mapping):
            found |= {f"{name}_{inner}": each for inner, each in value.items()}
        else:
            found[name] = value
    return found


def _told_command() -> str:
    return shlex.join(["bitbrush", *sys.argv[1:]])
