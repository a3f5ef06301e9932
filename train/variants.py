"""Variants of quickbrush, each trained on the same few pictures.

Which of them makes VGG-19 linear in its taps?

    python train/variants.py --data photos.parquet --teacher vgg19-normalised --teacher vgg19-16x \\
        -o FOLDER [--pictures 3200] [--only "no blur"]

Data and teachers are those of `train/quickbrush.py`. What has been trained is kept in FOLDER, and
an interrupted run goes on. Written at the end: FOLDER/variants.md, for each variant its size,
seconds of training, and the share of each layer's variance that the best linear maps of its taps
miss in 64 crops that are the same for all. The weights are in FOLDER, too; those of the same
architecture can be painted with (`bitbrush paint --weights`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from quickbrush import targets, unwanted
from rich.progress import Progress as Bar
from torch import Tensor, nn
from torch.nn import functional

from bitbrush.engine.precision import has_half_units
from bitbrush.errors import InputError
from bitbrush.layers import QuantConv2d
from bitbrush.networks.quickbrush import BLOCKS, WIDTHS, Block, QuickBrush
from bitbrush.networks.taps import Network
from bitbrush.quantizers import Estimator, Sign
from bitbrush.train.distil import Recipe, distil
from bitbrush.train.heads import Target, unexplained
from bitbrush.train.pictures import PictureCache, random_crops
from bitbrush.weights.bits import save_network
from bitbrush.weights.loading import load_network

CROPS, SEED = 64, 999
"""What variants are compared by."""


class RectifiedLast(Block):
    """x + relu(BN(one-bit convolution of sign(x)))."""

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + functional.relu(self.norm(self.conv(x)))
        return result


class Unrectified(Block):
    """x + BN(one-bit convolution of sign(x))."""

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.norm(self.conv(x))
        return result


def _blocks(kind: type[Block]) -> Callable[[QuickBrush], None]:
    def change(network: QuickBrush) -> None:
        for module in network.modules():
            if isinstance(module, Block):
                module.__class__ = kind

    return change


def _one_bit(network: QuickBrush) -> list[QuantConv2d]:
    return [module for module in network.modules() if isinstance(module, QuantConv2d)]


def _clip(value: float) -> Callable[[QuickBrush], None]:
    def change(network: QuickBrush) -> None:
        for layer in _one_bit(network):
            layer.clip = value
            layer.kernel_quantizer = Sign(Estimator("ste", value))

    return change


def _window(name: str, width: float) -> Callable[[QuickBrush], None]:
    def change(network: QuickBrush) -> None:
        for layer in _one_bit(network):
            layer.input_quantizer = Sign(Estimator(name, width))

    return change


def _strided(network: QuickBrush) -> None:
    for transition in network.transitions:
        transition.blur = nn.MaxPool2d(1, 2)


@dataclass(frozen=True)
class Variant:
    """What is another way than in quickbrush.

    Attributes:
        what: in a few words.
        change: of the network, before it is trained.
        float_first: weights are floats for the first half of the training.
        with_stem: whether the stem's tap has to explain a layer.
        all_blocks: whether each block has to explain its stage's layer, or the last one alone.
        recipe: what else is asked for, by names of the recipe.
    """

    what: str
    change: Callable[[QuickBrush], None] | None = None
    stem: int = 32
    widths: Sequence[int] = WIDTHS
    blocks: Sequence[int] = BLOCKS
    float_first: bool = False
    with_stem: bool = True
    all_blocks: bool = False
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def built(self) -> QuickBrush:
        """The network, with weights drawn by the same seed."""
        torch.manual_seed(0)
        network = QuickBrush(stem=self.stem, widths=self.widths, blocks=self.blocks)
        if self.change is not None:
            self.change(network)
        return network


VARIANTS = (
    Variant("as it is"),
    Variant("relu behind the batch norm", _blocks(RectifiedLast)),
    Variant("no relu in the blocks", _blocks(Unrectified)),
    Variant("no blur", _strided),
    Variant("weights clipped at 0.1", _clip(0.1)),
    Variant("a straight-through window", _window("ste", 1.0)),
    Variant("float weights for the first half", float_first=True),
    Variant("nothing asked of the stem", with_stem=False),
    Variant("stem of 16", stem=16),
    Variant("wider and shallower", widths=(64, 192, 256, 256), blocks=(1, 2, 2, 2)),
    Variant("narrower and deeper", widths=(64, 64, 128, 256), blocks=(3, 6, 5, 3)),
    Variant("heads with a hidden layer", recipe={"hidden": 128}),
    Variant("statistics of crops in the loss", recipe={"statistics": 0.3}),
    Variant("classes in the loss", recipe={"classes": 0.3}),
    Variant("averaged weights", recipe={"average": 0.9}),
    Variant("all blocks asked", all_blocks=True),
    Variant("crops at one scale", recipe={"scales": (1.0, 1.0)}),
    Variant("crops from half to twice the size", recipe={"scales": (0.5, 2.0)}),
)


def _train(
    variant: Variant,
    teachers: Sequence[Network],
    cache: PictureCache,
    recipe: Recipe,
    checkpoint: Path,
    tell: Callable[[int], None],
) -> tuple[QuickBrush, list[Target], float]:
    """The trained network, what its taps are compared with, and seconds."""
    student = variant.built().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pairs = targets(student, teachers)
    layers = _one_bit(student)
    signs = [layer.kernel_quantizer for layer in layers]
    half, started = has_half_units(), time.monotonic()
    asked = pairs if variant.with_stem else pairs[1:]
    if variant.all_blocks:
        asked = [replace(pair, tap=tap) for pair in asked for tap in _stage_of(student, pair.tap)]
    recipe = replace(recipe, **variant.recipe)
    if variant.float_first:
        for layer in layers:
            layer.kernel_quantizer = None
    for step in distil(student, asked, cache, recipe, checkpoint, autocast=half):
        if variant.float_first and step.step >= recipe.steps // 2:
            for layer, sign in zip(layers, signs, strict=True):
                layer.kernel_quantizer = sign
        tell(step.step)
    return student, pairs, time.monotonic() - started


def _stage_of(student: QuickBrush, tap: str) -> list[str]:
    """The taps of all blocks of a tap's stage."""
    stage = tap.partition(".")[0]
    return [each for each in student.taps if each.partition(".")[0] == stage]


def _table(rows: Sequence[dict[str, str]]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main(
    data: Annotated[list[Path], typer.Option(help="Folders of pictures, or parquet files.")],
    teacher: Annotated[list[str], typer.Option(help="Networks to learn from, by name.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of everything made.")],
    without: Annotated[
        list[Path], typer.Option(help="Folders of pictures that it will be judged by.")
    ] = [],  # noqa: B006
    pictures: Annotated[int, typer.Option(help="Pictures that each sees.")] = 3200,
    only: Annotated[list[str], typer.Option(help="Variants, in their words.")] = [],  # noqa: B006
) -> None:
    """Train variants and compare them."""
    unknown = set(only) - {variant.what for variant in VARIANTS}
    if unknown:
        raise InputError(f"no variant is called {', '.join(sorted(unknown))}")
    output.mkdir(parents=True, exist_ok=True)
    chosen = [variant for variant in VARIANTS if not only or variant.what in only]
    teachers = [
        load_network(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name in teacher
    ]
    cache = PictureCache.build(data, output / "pictures.u8", unwanted=unwanted(without))
    crops = random_crops(cache, CROPS, Recipe.size, Recipe.scales, np.random.default_rng(SEED))
    recipe = Recipe(pictures=pictures)
    rows: list[dict[str, str]] = []
    with Bar() as bar:
        task = bar.add_task("training", total=recipe.steps * len(chosen))
        for variant in chosen:
            name = variant.what.replace(" ", "-")
            kept = output / f"{name}.json"
            before = recipe.steps * len(rows)

            def tell(step: int, before: int = before) -> None:
                bar.update(task, completed=before + step)

            if not kept.exists():
                student, pairs, seconds = _train(
                    variant, teachers, cache, recipe, output / f"{name}.pth", tell
                )
                weights = output / f"{name}.safetensors"
                save_network(student, weights, {"network": student.name}, half=True)
                row = {"variant": variant.what, "KiB": f"{weights.stat().st_size / 1024:.0f}"}
                row["s"] = f"{seconds:.0f}"
                shares = unexplained(student.settle(), pairs, crops)  # type: ignore[arg-type]
                row |= {layer: f"{share:.3f}" for layer, share in shares.items()}
                kept.write_text(json.dumps(row))
            tell(recipe.steps)
            rows.append(json.loads(kept.read_text()))
            (output / "variants.md").write_text(_table(rows))
    print(_table(rows))


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        print(f"variants: {error}", file=sys.stderr)
        sys.exit(2)
