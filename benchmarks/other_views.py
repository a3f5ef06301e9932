"""Pictures that are seen in other ways, too: in turn with each view.

    python benchmarks/other_views.py IMAGES -o FOLDER --count 4 "with quickbrush-small" "hold 2"

- "sizes": as it is, a quarter larger, and a fifth smaller; the style alike;
- "with NETWORK": by this network, and by another one at its own taps;
- "hold N": a new view after N steps.

Printed: style distance at equal content distance against `--base` as it is, on the tuning pairs,
and medians of the artefacts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from changed import compare, run
from torch import Tensor

from bitbrush import load_network
from bitbrush.networks.registry import NETWORKS
from bitbrush.style import loop
from bitbrush.style.defaults import DEFAULTS
from bitbrush.style.job import Job
from bitbrush.style.objective import Objective
from bitbrush.style.scales import Scale
from bitbrush.style.views import View

SIZES = (1.0, 1.25, 0.8)


class InTurn:
    """Objectives that take turns with the views."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.objectives = objectives
        self.turn = -1
        self.view = View(0, 0, 0)

    @property
    def current(self) -> Objective:
        return self.objectives[self.turn % len(self.objectives)]

    def look(self, view: View) -> None:
        self.turn += 1
        self.view = view
        self.current.look(view)

    def gradient(self, image: Tensor, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return self.current.gradient(image, random)


class Scaled:
    """An objective whose views are of another scale."""

    def __init__(self, objective: Objective, scale: float) -> None:
        self.objective, self.scale = objective, scale
        self.view = objective.view

    def look(self, view: View) -> None:
        self.view = view
        self.objective.look(replace(view, scale=self.scale))

    def gradient(self, image: Tensor, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return self.objective.gradient(image, random)


Make = Callable[[Job, Scale, Tensor], Objective]


def sizes(make: Make) -> Make:
    def made(job: Job, scale: Scale, content: Tensor) -> Objective:
        objectives = []
        for size in SIZES:
            seen = replace(job, settings=replace(job.settings, encode_scale=size))
            objectives.append(Scaled(make(seen, scale, content), size))
        return InTurn(objectives)

    return made


def together(make: Make, name: str) -> Make:
    other = load_network(name)
    own = DEFAULTS[name]

    def made(job: Job, scale: Scale, content: Tensor) -> Objective:
        taps = {"content_taps": own.content_taps, "style_taps": own.style_taps}
        theirs = replace(job, network=other, settings=replace(job.settings, **taps))
        return InTurn([make(each, scale, content) for each in (job, theirs)])

    return made


def change(told: str) -> None:
    """Changes the painter."""
    idea, _, value = told.partition(" ")
    if idea == "hold":
        loop.HOLD = int(value)
    elif idea == "with":
        loop.make_objective = together(loop.make_objective, value)
    else:
        loop.make_objective = sizes(loop.make_objective)


def check(told: str) -> None:
    """Raises:
    typer.BadParameter: nobody knows that idea.
    """
    idea, _, value = told.partition(" ")
    known = {"sizes": not value, "with": value in NETWORKS}
    if not (known.get(idea) or (idea == "hold" and value.isdecimal() and int(value) > 0)):
        raise typer.BadParameter(f"{told!r} is none of sizes, with NETWORK, hold N")


def main(
    images: Annotated[Path, typer.Argument(help="Folder with content/ and style/.")],
    ideas: Annotated[list[str], typer.Argument(help="Ideas.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for all that is made.")],
    base: Annotated[str, typer.Option(help="Network and options.")] = "quickbrush",
    judge: Annotated[str, typer.Option(help="The judge.")] = "squeezenet",
    size: Annotated[int, typer.Option(help="Long edge in pixels.")] = 256,
    count: Annotated[int | None, typer.Option(help="Only so many pairs, evenly spread.")] = None,
) -> None:
    """Compare other views with the painter as it is."""
    for idea in ideas:
        check(idea)
    compare(images, output, ideas, base, judge, size, count)


if __name__ == "__main__":
    run(main, change)
