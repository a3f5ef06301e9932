"""`bitbrush evaluate`: how good paintings are, by a network that took no part in them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import app
from .crew_options import RayAddress, Workers, crew_size
from .engine_notes import prepare_engine
from .networks import AsJson, make_table, show
from .progress import progress

if TYPE_CHECKING:
    from ..lab.evaluate import Evaluation, Made
    from ..lab.judge import Distances


@app.command()
def evaluate(
    result: Annotated[
        Path,
        typer.Argument(help="A painting, or a folder of paintings.", show_default=False),
    ],
    content: Annotated[
        Path,
        typer.Option(
            help="The picture that was painted, or a folder in which each painting finds its own "
            "by the name in its metadata.",
            show_default=False,
        ),
    ],
    style: Annotated[
        str,
        typer.Option(
            help="The same of the style; or a built-in style.", show_default=False, metavar="PATH"
        ),
    ],
    judge: Annotated[
        str, typer.Option(help="The network to judge by; it should not have painted.")
    ] = "squeezenet",
    device: Annotated[
        str, typer.Option(help="Where to compute: cpu, cuda (or cuda:1 …) or mps.")
    ] = "cpu",
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also plot style against content distance: .png, .svg or .pdf.",
            show_default=False,
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write content, style and painting beside each other.",
            show_default=False,
        ),
    ] = None,
    workers: Workers = None,
    ray: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Judge paintings: style and content distance, and what should not be in them.

    Style distance is 0 for the style itself and 1 for a painting as far from it as the content;
    content distance is 0 for the content itself. Artefacts are ratios to what the style, or a
    clean picture, has: of lattices, fine grain, coloured grain, and contrast at the border.
    """
    from ..images import check_output
    from ..lab.evaluate import evaluations, made_from
    from ..lab.judge import Judge
    from ..lab.judging import evaluations_by_many
    from ..lab.plot import check_plot

    at_once = crew_size(workers, ray)
    if plot is not None:
        check_plot(plot)
    if sheet is not None:
        check_output(sheet)
    made = made_from(result, content, style)
    judging = Judge.load(judge, device)
    prepare_engine(judging.network)
    found = []
    judgements = (
        evaluations(made, judging)
        if at_once == 1 and ray is None
        else evaluations_by_many(made, judge, device, at_once, ray)
    )
    with progress("judging", len(made)) as bar:
        for done, each in enumerate(judgements, 1):
            found.append(each)
            bar.update(done, each.painting)
    if plot is not None:
        _plot(found, judge, plot)
    if sheet is not None:
        _sheet(made, found, sheet)
    if as_json:
        print(json.dumps({"judge": judge, "paintings": [each.as_json() for each in found]}))
        return
    _table(found)
    if any(each.network == judge for each in found):
        print(f"Some were painted by {judge}, their judge: their distances prove little.")


def _table(found: Sequence[Evaluation]) -> None:
    titles = ["painting", "network", "style", "content", "grid", "noise", "colour noise", "border"]
    table = make_table([*titles, "s"], right=range(2, 9))
    for each in found:
        faults = each.artefacts
        cells = ["", "", "", ""]
        if faults is not None:
            values = (
                faults.grid_against_style,
                faults.noise,
                faults.chroma_noise,
                faults.border,
            )
            cells = [f"{value:.2f}" for value in values]
        seconds = "" if each.seconds is None else f"{each.seconds:.1f}"
        distances = [f"{each.distances.style:.3f}", f"{each.distances.content:.3f}"]
        table.add_row(each.painting, each.network or "", *distances, *cells, seconds)
    if len(found) > 1:
        means = [
            f"{statistics.fmean(getattr(each.distances, name) for each in found):.3f}"
            for name in ("style", "content")
        ]
        table.add_row("mean", "", *means, *[""] * 5)
    show(table)


def _plot(found: Sequence[Evaluation], judge: str, path: Path) -> None:
    from ..lab.plot import plot_distances

    series: dict[str, list[Distances]] = {}
    several = len({(each.content, each.style) for each in found}) > 1
    for each in found:
        name = each.network or "painting"
        if several:
            name += f": {Path(each.content).stem}, {Path(each.style).stem}"
        series.setdefault(name, []).append(each.distances)
    plot_distances(series, judge, path)


def _sheet(made: Sequence[Made], found: Sequence[Evaluation], path: Path) -> None:
    from .. import __version__
    from ..images import write_image
    from ..lab.evaluate import pictures_of
    from ..lab.sheet import contact_sheet

    rows = []
    for sources, each in zip(made, found, strict=True):
        texts = (each.content, each.style, f"{each.network or each.painting}: {_brief(each)}")
        pictures = [picture.rgb for picture in pictures_of(sources)]
        rows.append(list(zip(pictures, texts, strict=True)))
    write_image(contact_sheet(rows), path, {"bitbrush": __version__, "command": "evaluate"})


def _brief(each: Evaluation) -> str:
    return f"style {each.distances.style:.3f}, content {each.distances.content:.3f}"
