"""What networks miss of VGG-19: the share of each layer's variance that is not linear in a tap.

    python train/unexplained.py quickbrush quickbrush-large --data FOLDER --teacher vgg19

With the best linear maps for a few crops of these pictures, the same for every network. Data,
teachers and the cache of pictures are those of `train/quickbrush.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from quickbrush import targets, trained

from bitbrush.errors import InputError
from bitbrush.train.distil import Recipe
from bitbrush.train.heads import unexplained
from bitbrush.train.pictures import PictureCache, random_crops
from bitbrush.weights.loading import load_network


def main(
    networks: Annotated[list[str], typer.Argument(help="quickbrush, or its relatives.")],
    teacher: Annotated[list[str], typer.Option(help="Networks to compare with, by name.")],
    data: Annotated[list[Path], typer.Option(help="Folders of pictures, or parquet files.")] = [],  # noqa: B006
    cache: Annotated[
        Path | None, typer.Option(help="In place of --data: the pictures.u8 of a training.")
    ] = None,
    crops: Annotated[int, typer.Option(min=16, help="How many.")] = 64,
    seed: Annotated[int, typer.Option(help="Which.")] = 999,
) -> None:
    """Print a table."""
    if (cache is None) == (not data):
        raise InputError("name --data or --cache")
    with TemporaryDirectory() as folder:
        held = PictureCache(cache) if cache else PictureCache.build(data, Path(folder) / "p.u8")
        images = random_crops(held, crops, Recipe.size, Recipe.scales, np.random.default_rng(seed))
        teachers = [load_network(name) for name in teacher]
        for row, name in enumerate(networks):
            student = trained(name).settle()
            shares = unexplained(student, targets(student, teachers), images)  # type: ignore[arg-type]
            if row == 0:
                print("| network | " + " | ".join(shares) + " |")
                print("|" + " --- |" * (len(shares) + 1))
            print(f"| {name} | " + " | ".join(f"{share:.3f}" for share in shares.values()) + " |")


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        print(f"unexplained: {error}", file=sys.stderr)
        sys.exit(2)
