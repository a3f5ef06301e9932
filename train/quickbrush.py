"""Trains quickbrush: VGG-19's features linear in the taps of a one-bit network.

    bitbrush weights import vgg19_normalised_relu3_1.safetensors --network vgg19-normalised
    bitbrush weights import vgg19_16x_relu5_1.safetensors --network vgg19-16x
    python train/quickbrush.py --data photos.parquet \\
        --teacher vgg19-normalised --teacher vgg19-16x -o runs/quickbrush

or, with torchvision's own VGG-19 (548 MB):

    bitbrush weights pull vgg19
    python train/quickbrush.py --data FOLDER --teacher vgg19 -o runs/quickbrush

Its relatives are trained in the same way, with --network. Interrupted, the same command continues.
The output folder then holds the packed weights, the curve and a model card. Needs the extra
`train`.
"""

from __future__ import annotations

import io
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image
from rich.progress import Progress as Bar
from rich.progress import TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bitbrush.engine.precision import has_half_units
from bitbrush.errors import InputError
from bitbrush.layers import QuantConv2d
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.registry import network_spec
from bitbrush.networks.taps import Network
from bitbrush.train.card import Report, write_card
from bitbrush.train.distil import Recipe, distil
from bitbrush.train.duplicates import Unwanted
from bitbrush.train.growing import grow
from bitbrush.train.heads import Target
from bitbrush.train.pictures import PictureCache, encoded_pictures
from bitbrush.weights.bits import load_into, read_network_file, save_network
from bitbrush.weights.loading import load_network, resolve_path

NAME = "quickbrush"

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The teacher's layers, one for the stem and the end of each stage."""

REPORT_EVERY = 50
"""Steps that each point of the curve is averaged over."""


def targets(student: QuickBrush, teachers: Sequence[Network]) -> list[Target]:
    """Each layer from the first teacher that has it, for the tap at its resolution."""
    ends = [tap for tap in student.taps if tap == "stem" or tap in student.stage_ends()]
    pairs = []
    for tap, layer in zip(ends, LAYERS, strict=True):
        teacher = next((t for t in teachers if layer in t.taps), None)
        if teacher is None:
            raise InputError(f"no teacher has {layer}; name one more with --teacher")
        # At full resolution neighbouring positions tell much the same.
        pairs.append(Target(tap, teacher, layer, every=2 if tap == "stem" else 1))
    return pairs


def _numbers(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{text!r} is not N,…") from None


def built(
    name: str, stem: int | None, widths: str | None, blocks: str | None, random_signs: bool
) -> QuickBrush:
    """The network of that name, with other numbers where they are given."""
    network = network_spec(name).build()
    if not isinstance(network, QuickBrush):
        raise InputError(f"{name} is no quickbrush")
    student = QuickBrush(
        name=name,
        stem=network.stem.out_channels if stem is None else stem,
        widths=_numbers(widths) or [each.conv.out_channels for each in network.transitions],
        blocks=_numbers(blocks) or [len(stage) for stage in network.stages],
        one_bit=network.one_bit,
    )
    if random_signs:
        for layer in student.modules():
            if isinstance(layer, QuantConv2d):
                layer.weight.requires_grad_(False)
    return student


def trained(name: str) -> QuickBrush:
    """The network of that name, with the weights that it has on this machine."""
    network, file = network_spec(name).build(), resolve_path(name).path
    if not isinstance(network, QuickBrush) or file is None:
        raise InputError(f"{name} is no quickbrush")
    load_into(network, read_network_file(file)[0])
    return network


def unwanted(folders: Sequence[Path]) -> Unwanted:
    """All pictures in these folders."""
    files = [file for folder in folders for file in encoded_pictures(folder)]
    return Unwanted([Image.open(io.BytesIO(file)) for file in files])


def main(
    data: Annotated[list[Path], typer.Option(help="Folders of pictures, or parquet files.")],
    teacher: Annotated[list[str], typer.Option(help="Networks to learn from, by name.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of everything made.")],
    without: Annotated[
        list[Path], typer.Option(help="Folders of pictures that it will be judged by.")
    ] = [],  # noqa: B006
    network: Annotated[str, typer.Option(help="quickbrush, or one of its relatives.")] = NAME,
    stem: Annotated[int | None, typer.Option(help="Channels of the stem, if not its own.")] = None,
    widths: Annotated[str | None, typer.Option(help="N,…: channels of each stage.")] = None,
    blocks: Annotated[str | None, typer.Option(help="N,…: blocks of each stage.")] = None,
    random_signs: Annotated[
        bool, typer.Option("--random-signs", help="A control: leave the one-bit weights as drawn.")
    ] = False,
    grown_from: Annotated[
        str | None, typer.Option(help="A trained relative that it computes the same as, at first.")
    ] = None,
    pictures: Annotated[int, typer.Option(help="Pictures to see in all.")] = Recipe.pictures,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = Recipe.batch,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = Recipe.learning_rate,
    seed: Annotated[int, typer.Option(help="Seed of weights and crops.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train quickbrush, or continue."""
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    student = built(network, stem, widths, blocks, random_signs)
    if grown_from is not None:
        grow(trained(grown_from), student)
    student.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    teachers = [
        load_network(name, device=device).to(memory_format=torch.channels_last) for name in teacher
    ]
    recipe = Recipe(pictures=pictures, batch=batch, learning_rate=learning_rate, seed=seed)
    columns = (
        *Bar.get_default_columns()[:3],
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns) as bar:
        decoding = bar.add_task("decoding", total=None, note="")
        cache = PictureCache.build(
            data,
            output / "pictures.u8",
            unwanted=unwanted(without),
            progress=lambda count: bar.update(decoding, completed=count, note=f"{count} pictures"),
        )
        bar.remove_task(decoding)
        task = bar.add_task("training", total=recipe.steps, note="")
        started, curve = time.monotonic(), output / "curve.jsonl"
        sums: dict[str, float] = {}
        points = 0
        checkpoint = output / "checkpoint.pth"
        # A CPU without units for it computes in bfloat16 several times as slowly.
        half = device != "cpu" or has_half_units()
        pairs = targets(student, teachers)
        for step in distil(student, pairs, cache, recipe, checkpoint, autocast=half):
            points += 1
            for layer, share in step.unexplained.items():
                sums[layer] = sums.get(layer, 0.0) + share
            if points == REPORT_EVERY or step.step == recipe.steps:
                means = {layer: round(total / points, 4) for layer, total in sums.items()}
                seconds = round(time.monotonic() - started, 1)
                point = {"pictures": step.step * recipe.batch, "seconds": seconds, **means}
                with curve.open("a") as file:
                    file.write(json.dumps(point) + "\n")
                sums, points = {}, 0
                bar.update(task, note=" ".join(f"{value:.2f}" for value in means.values()))
            bar.update(task, completed=step.step)
    weights, card = output / f"{network}.safetensors", output / f"{network}.md"
    metadata = {"network": network, "source": "trained by bitbrush", "licence": "MIT"}
    save_network(student, weights, metadata, half=True)
    report = Report(
        network=student,
        command=shlex.join(["python", *sys.argv]),
        data=[path.name for path in data],
        pictures=(len(cache), cache.left_out),
        teachers=[t.name for t in teachers],
        recipe=recipe,
        curve=[json.loads(line) for line in curve.read_text().splitlines()],
    )
    write_card(report, weights, card)
    print(f"{weights}: {weights.stat().st_size / 1024:.0f} KiB, card in {card}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        print(f"quickbrush: {error}", file=sys.stderr)
        sys.exit(2)
