"""Noise before every sign of an activation: does its expectation make a better gradient?

    python benchmarks/noisy_signs.py IMAGES -o FOLDER --count 4 0.1 0.3

Each value that is about to be binarised gets normally distributed noise, drawn anew each time, of
so many standard deviations of its map; in the style and the content as well, so that all are seen
alike. That needs the float engine. Printed: style distance at equal content distance against the
same network without, on the tuning pairs, and medians of the artefacts.
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from studio import INDICES, PAIRS, SHOWN, Studio, evenly
from torch import Tensor, nn

from bitbrush.cli.main import main as bitbrush
from bitbrush.cli.progress import progress
from bitbrush.lab.frontier import Frontier, compared, overlap, ratio
from bitbrush.lab.judge import Judge
from bitbrush.lab.pairs import PairSets
from bitbrush.quantizers import Sign

WEIGHTS = (0.03, SHOWN, 1.0)
"""Content weights of a frontier."""

CONTESTANT = "quickbrush --engine float --noise 0"

SPREAD = "NOISY_SIGNS"
"""Environment variable by which a painting process is told the spread."""


def paint_with_noise(spread: float) -> None:
    """`bitbrush` with noise before its signs."""
    random = torch.Generator().manual_seed(0)

    def before(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if not isinstance(module, Sign):
            return None
        (x,) = arguments
        noise = torch.empty_like(x).normal_(generator=random)
        return (x + noise * (spread * x.detach().std()),)

    nn.modules.module.register_module_forward_pre_hook(before)
    bitbrush()


def main(
    images: Annotated[Path, typer.Argument(help="Folder with content/ and style/.")],
    spreads: Annotated[list[float], typer.Argument(help="In standard deviations.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for all that is made.")],
    judge: Annotated[str, typer.Option(help="The judge.")] = "squeezenet",
    size: Annotated[int, typer.Option(help="Long edge in pixels.")] = 256,
    count: Annotated[int | None, typer.Option(help="Only so many pairs, evenly spread.")] = None,
) -> None:
    """Compare spreads with none."""
    pairs = evenly(PairSets.read(PAIRS).tuning, count)
    command = [sys.executable, str(Path(__file__).resolve())]
    frontiers: list[list[Frontier]] = []
    with progress("painting and judging", (1 + len(spreads)) * len(pairs)) as bar:
        for spread in (0.0, *spreads):
            os.environ[SPREAD] = str(spread)
            folder = output / str(spread)
            studio = Studio(images, folder, Judge.load(judge), size, command=command)
            found = []
            for pair in pairs:
                points = [studio.judged(pair, CONTESTANT, weight) for weight in WEIGHTS]
                found.append(Frontier.of(points))
                bar.update(len(frontiers) * len(pairs) + len(found), pair.name)
            frontiers.append(found)
            both = [each for each in zip(found, frontiers[0], strict=True) if overlap(*each)]
            result = compared([ratio(*each) for each in both])
            faults = [studio.faults(pair, CONTESTANT, SHOWN) for pair in pairs]
            medians = [statistics.median(each[index] for each in faults) for index in INDICES]
            shown = ", ".join(
                f"{index} {value:.2f}" for index, value in zip(INDICES, medians, strict=True)
            )
            print(f"{spread}: {result.mean:.3f} ({result.low:.3f} to {result.high:.3f}); {shown}")


if __name__ == "__main__":
    if SPREAD in os.environ:
        paint_with_noise(float(os.environ[SPREAD]))
    else:
        typer.run(main)
