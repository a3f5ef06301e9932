"""`bitbrush styles`: the styles that are made by code."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, unknown_name
from ..styles import LARGEST, SMALLEST, STYLES, style_names
from .app import app, options

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SHEET_SIZE, STYLE_SIZE = 256, 512
KINDS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}


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
    kind = _kind(output)
    # Imported here, so that the list needs no numpy.
    from ..styles import render_style
    from ..styles.sheet import contact_sheet

    if name is None:
        _write(contact_sheet(style_names(), size or SHEET_SIZE), output, kind)
    else:
        _write(render_style(name, size or STYLE_SIZE), output, kind)
    if not options.quiet:
        print(output)


def _list(names: list[str]) -> None:
    width = max(len(name) for name in STYLES)
    for name in names:
        print(f"{name:<{width}}  {STYLES[name].description}")


def _kind(path: Path) -> str:
    """The file format that a path asks for, told before seconds are spent on painting.

    Raises:
        InputError: pictures are not written with such an ending, or there is no such folder.
    """
    if path.suffix.lower() not in KINDS:
        raise InputError(f"cannot write {path.name}; end its name in one of {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to write {path.name} to; make it first")
    return KINDS[path.suffix.lower()]


def _write(picture: npt.NDArray[np.uint8], path: Path, kind: str) -> None:
    """Writes a picture under a temporary name and renames it, so that no half of one is left."""
    from PIL import Image

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".bitbrush-", suffix=path.suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            Image.fromarray(picture).save(file, format=kind, optimize=True, quality=95)
        # mkstemp makes a file for its owner alone; a picture is for everybody, as umask has it.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
