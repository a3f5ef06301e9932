"""`bitbrush styles`: the styles that are made by code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..errors import InputError, unknown_name
from ..styles import LARGEST, SMALLEST, STYLES, style_names
from .app import app, options

SHEET_SIZE, STYLE_SIZE = 256, 512


@app.command()
def styles(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One style; without it, all of them."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the style, or a contact sheet of all of them, to this picture file.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=SMALLEST,
            max=LARGEST,
            help=f"Side of each picture in pixels: {STYLE_SIZE} for one style, {SHEET_SIZE} for "
            "each on a contact sheet, unless given.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the built-in styles, or write them as pictures."""
    if name is not None and name not in STYLES:
        raise unknown_name("style", name, STYLES)
    if output is None:
        if size is not None:
            raise InputError("--size has no meaning without -o FILE, where the picture goes")
        _list(style_names() if name is None else [name])
        return
    # Imported here, so that the list needs no numpy.
    import torch

    from ..images import check_output, write_image
    from ..styles import render_style
    from ..styles.sheet import contact_sheet

    check_output(output)
    if name is None:
        pixels = contact_sheet(style_names(), size or SHEET_SIZE)
    else:
        pixels = render_style(name, size or STYLE_SIZE)
    picture = torch.tensor(pixels).permute(2, 0, 1)[None] / 255
    drawn = {"bitbrush": __version__, "command": "styles", "name": name, "size": pixels.shape[0]}
    write_image(picture, output, drawn)
    if not options.quiet:
        print(output)


def _list(names: list[str]) -> None:
    width = max(len(name) for name in STYLES)
    for name in names:
        print(f"{name:<{width}}  {STYLES[name].description}")
