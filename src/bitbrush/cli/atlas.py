"""`bitbrush atlas`: a map of what a layer has learnt to tell apart."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..atomic import make_folder
from ..errors import InputError
from .app import app, options
from .networks import AsJson
from .progress import progress
from .signals import Interruptions

if TYPE_CHECKING:
    from ..lab.atlas.atlas import Atlas


@app.command()
def atlas(
    network: Annotated[
        str,
        typer.Argument(
            help="The network; NAME=FILE gives it the weights of a file.", show_default=False
        ),
    ],
    tap: Annotated[str, typer.Option(help="The map of it that is shown.", show_default=False)],
    images: Annotated[
        list[Path],
        typer.Option(help="Folders of pictures, or parquet files.", show_default=False),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder for everything made.", show_default=False),
    ],
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK:TAP", help="Another one to show beside it.", show_default=False
        ),
    ] = None,
    vectors: Annotated[int, typer.Option(min=16, help="Vectors that are laid out.")] = 20_000,
    side: Annotated[
        int,
        typer.Option(min=2, max=100, help="Cells along each side; fewer where vectors are few."),
    ] = 14,
    cell: Annotated[int, typer.Option(min=32, max=512, help="Side of a cell in pixels.")] = 80,
    steps: Annotated[int, typer.Option(min=1, help="Steps that each cell is painted in.")] = 96,
    channels: Annotated[int, typer.Option(min=0, help="Single channels painted too.")] = 24,
    # UMAP takes seeds of 32 bits.
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Lay out what a network's layer tells apart as a map to zoom into.

    Interrupted, the same command goes on where it was.
    """
    from ..lab.atlas.atlas import Plan, check_plan, make_atlas
    from ..lab.atlas.layout import check_layout
    from ..lab.atlas.page import write_page
    from ..lab.report.page import check_reports

    check_layout()
    check_reports()
    chosen = [(network, tap), *(_named(each) for each in beside or [])]
    plans = [
        Plan(name, of, images, vectors, side, cell, steps, channels, seed) for name, of in chosen
    ]
    for plan in plans:
        check_plan(plan)
    _check_output(output, images)
    make_folder(output)
    made = []
    with Interruptions() as interruptions, progress("atlas", len(plans)) as bar:
        for done, plan in enumerate(plans):

            def advance(share: float, note: str, done: int = done, plan: Plan = plan) -> None:
                bar.update(done + share, f"{plan.network}: {note}")
                if interruptions.waiting:
                    interruptions.deliver("run the same command again to go on")

            made.append(make_atlas(plan, output, advance))
    page = output / "atlas.html"
    facts = {
        "command": shlex.join(["bitbrush", *sys.argv[1:]]),
        "vectors": "; ".join(
            dict.fromkeys(f"{a.vectors:,} from {a.pictures:,} pictures" for a in made)
        ),
    }
    write_page(made, page, facts)
    if not options.quiet:
        for each in made:
            _tell_fewer(each)
    if as_json:
        cells = {f"{a.plan.network}:{a.plan.tap}": len(a.cells) for a in made}
        print(json.dumps({"page": str(page), "cells": cells}))
    elif not options.quiet:
        print(f"{page}: {sum(len(each.cells) for each in made)} cells")


def _check_output(output: Path, images: list[Path]) -> None:
    """Raises InputError: what is made would be taken for pictures, and for changed ones."""
    for source in images:
        if output.resolve().is_relative_to(source.resolve()):
            raise InputError(f"{output} lies in {source}, whose pictures are read; name another -o")


def _tell_fewer(made: Atlas) -> None:
    plan = made.plan
    name = f"{plan.subject.label}, {plan.tap}"
    if made.vectors < plan.count:
        print(
            f"{name}: {made.pictures:,} pictures gave {made.vectors:,} vectors, not {plan.count:,}",
            file=sys.stderr,
        )
    if made.side < plan.side:
        print(
            f"{name}: {made.vectors:,} vectors fill {made.side}x{made.side} cells, "
            f"not {plan.side}x{plan.side}",
            file=sys.stderr,
        )


def _named(text: str) -> tuple[str, str]:
    # The last one: there may be others in the name of a file.
    name, colon, tap = text.rpartition(":")
    if not colon or not tap:
        raise InputError(f"--beside takes NETWORK:TAP, not {text!r}")
    return name, tap
