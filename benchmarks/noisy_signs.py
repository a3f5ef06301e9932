"""Noise before every sign of an activation: does its expectation make a better gradient?

    python benchmarks/noisy_signs.py IMAGES -o FOLDER --count 4 0.1 0.3

Each value that is about to be binarised gets normally distributed noise, drawn anew each time, of
so many standard deviations of its map; in the style and the content as well, so that all are seen
alike. That needs the float engine. Printed: style distance at equal content distance against the
same network without, on the tuning pairs, and medians of the artefacts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from changed import compare, run
from torch import Tensor, nn

from bitbrush.quantizers import Sign

CONTESTANT = "quickbrush --engine float --noise 0"


def noisy(spread: str) -> None:
    """Puts noise before signs from now on."""
    random = torch.Generator().manual_seed(0)

    def before(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if not isinstance(module, Sign):
            return None
        (x,) = arguments
        noise = torch.empty_like(x).normal_(generator=random)
        return (x + noise * (float(spread) * x.detach().std()),)

    nn.modules.module.register_module_forward_pre_hook(before)


def main(
    images: Annotated[Path, typer.Argument(help="Folder with content/ and style/.")],
    spreads: Annotated[list[float], typer.Argument(help="In standard deviations.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for all that is made.")],
    judge: Annotated[str, typer.Option(help="The judge.")] = "squeezenet",
    size: Annotated[int, typer.Option(help="Long edge in pixels.")] = 256,
    count: Annotated[int | None, typer.Option(help="Only so many pairs, evenly spread.")] = None,
) -> None:
    """Compare spreads with none."""
    compare(images, output, [str(spread) for spread in spreads], CONTESTANT, judge, size, count)


if __name__ == "__main__":
    run(main, noisy)
