"""Paints every pair with every network and puts the paintings on one sheet.

    python tools/contact_sheet.py IMAGES -o FOLDER [--size 384] [--steps 300]

IMAGES holds the folders `content` and `style`. Each painting is kept in FOLDER, and one that is
there already is not painted again, so an interrupted run continues. The last thing written is
FOLDER/sheet.jpg: a row for each pair, one painting a network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw

import bitbrush

PAIRS = (
    ("golden_gate", "van_gogh_starry_night"),
    ("cornell", "hokusai_great_wave"),
    ("tubingen", "kandinsky_composition_vii"),
    ("kodak_23", "klimt_kiss"),
    ("sailboat", "monet_water_lilies"),
    ("chicago", "munch_scream"),
)
NETWORKS = ("quickbrush", "resnet18-bmxnet", "resnet18-bmxnet-fp1", "squeezenet", "vgg19-16x")
HEIGHT = 240
GAP = 6


def row(files: list[Path]) -> Image.Image:
    """The pictures side by side, all HEIGHT px high."""
    pictures = [Image.open(file).convert("RGB") for file in files]
    sized = [
        p.resize((round(p.width * HEIGHT / p.height), HEIGHT), Image.LANCZOS) for p in pictures
    ]
    strip = Image.new("RGB", (sum(p.width + GAP for p in sized) - GAP, HEIGHT), "white")
    left = 0
    for picture in sized:
        strip.paste(picture, (left, 0))
        left += picture.width + GAP
    return strip


def main(
    images: Annotated[Path, typer.Argument(help="Folder with content/ and style/.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for the paintings and the sheet.")],
    size: Annotated[int, typer.Option(help="Long edge of each painting.")] = 384,
    steps: Annotated[int, typer.Option(help="Steps of each painting.")] = 300,
    network: Annotated[list[str], typer.Option(help="Networks, by name.")] = list(NETWORKS),  # noqa: B006
) -> None:
    """Paint the sheet."""
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    for content, style in PAIRS:
        sources = [images / "content" / f"{content}.jpg", images / "style" / f"{style}.jpg"]
        paintings = []
        for name in network:
            painting = output / f"{content}-{style}-{name}.png"
            if not painting.exists():
                result = bitbrush.paint(*sources, network=name, size=size, steps=steps)
                result.save(painting)
                print(f"{painting.name}: {result.metadata['seconds']:.0f} s", flush=True)
            paintings.append(painting)
        rows.append(row(paintings))
    sheet = Image.new("RGB", (max(r.width for r in rows), len(rows) * (HEIGHT + GAP) + 20), "white")
    ImageDraw.Draw(sheet).text((4, 2), ", ".join(network), fill="black")
    for number, strip in enumerate(rows):
        sheet.paste(strip, (0, 20 + number * (HEIGHT + GAP)))
    sheet.save(output / "sheet.jpg", quality=88)


if __name__ == "__main__":
    typer.run(main)
