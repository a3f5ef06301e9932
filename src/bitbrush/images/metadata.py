"""The settings of a painting inside its file: JSON in a PNG text chunk, else in Exif."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from ..errors import InputError
from .files import open_picture, read_bytes

KEY = "bitbrush"
"""The keyword of the PNG chunk, and a name that every metadata object holds."""

_DESCRIPTION = 0x010E
_SOFTWARE = 0x0131


def to_text(metadata: Mapping[str, Any]) -> str:
    """JSON in ASCII, which is all that Exif's ImageDescription may hold."""
    return json.dumps(metadata, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def png_chunks(text: str) -> PngImagePlugin.PngInfo:
    """The text as what Pillow writes into a PNG file."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(KEY, text)
    return chunks


def exif(text: str) -> Image.Exif:
    """The text as Exif, for JPEG, WebP and TIFF."""
    tags = Image.Exif()
    tags[_DESCRIPTION] = text
    tags[_SOFTWARE] = KEY
    return tags


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings that `write_image` put into a picture.

    Args:
        path: a PNG, JPEG, WebP or TIFF file. Its pixels are not decoded.
    Raises:
        InputError: no readable picture, or one without settings of bitbrush.
    """
    path = Path(path)
    image = open_picture(read_bytes(path), path)
    try:
        text = image.info.get(KEY) or image.getexif().get(_DESCRIPTION)
        metadata = json.loads(text) if isinstance(text, str) else None
    except MemoryError:
        raise
    except Exception:  # foreign or damaged Exif and JSON; either way not ours
        metadata = None
    if not isinstance(metadata, dict) or KEY not in metadata:
        raise InputError(f"{path} holds no settings of bitbrush; was it saved by another program?")
    return metadata
