"""From a tensor to a picture file, with its settings inside; all of it or nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..atomic import write_atomically
from ..errors import InputError, PaintingError, unknown_name
from .colour_profile import srgb_profile
from .metadata import exif, png_chunks, to_text

ENDINGS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""The format of each ending of a file's name; case does not matter."""

LONGEST_SIDES = {"JPEG": 65_500, "WEBP": 16_383}
"""Pixels of a side that a format can hold, where it has a limit that can be met."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {},
    # 4:4:4, since halved colour resolution shows at the edges of strokes.
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "method": 4},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


def write_image(
    image: Tensor,
    path: str | os.PathLike[str],
    metadata: Mapping[str, Any],
    alpha: Tensor | None = None,
    dpi: int | None = None,
) -> None:
    """Writes a picture with 8 bits a channel, an sRGB profile and the settings that made it.

    The file appears complete or not at all; the same picture gives the same bytes.

    Args:
        image: sRGB [1, 3, H, W] in [0, 1], float; values outside are cut off.
        path: ends in .png, .jpg, .jpeg, .webp, .tif or .tiff.
        metadata: what `read_metadata` will give back; JSON values.
        alpha: opacity [1, 1, H, W] in [0, 1]; not for JPEG.
        dpi: pixels per inch, for programs that print; not noted in WebP, which has no place for it.
    Raises:
        InputError: an unknown ending, a size or alpha that the format cannot hold, a folder that
            cannot be written to, or a full disk.
        PaintingError: the picture holds values that are no numbers.
    """
    path = Path(path)
    kind = _format(path)
    if not bool(torch.isfinite(image).all()):
        raise PaintingError("the picture holds values that are no numbers; it was not written")
    if alpha is not None:
        _check_transparency(kind, path)
        image = torch.cat([image, alpha.to(image)], dim=1)
    height, width = image.shape[-2:]
    _check_size(kind, path, (height, width))
    picture = to_pillow(image)
    text = to_text(metadata)
    description: dict[str, Any] = (
        {"pnginfo": png_chunks(text)} if kind == "PNG" else {"exif": exif(text)}
    )
    if dpi is not None:
        description["dpi"] = (dpi, dpi)
    encoded = io.BytesIO()
    picture.save(encoded, kind, icc_profile=srgb_profile(), **_OPTIONS[kind], **description)
    write_atomically(path, encoded.getvalue())


def to_pillow(image: Tensor) -> Image.Image:
    """A picture [1, 3 or 4, H, W] with 8 bits a channel; values outside [0, 1] are cut off."""
    pixels = (image[0].detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy())


def check_output(
    path: str | os.PathLike[str],
    *,
    transparent: bool = False,
    size: tuple[int, int] | None = None,
) -> None:
    """Makes sure, before hours of painting, that a picture can be written there.

    Args:
        path: the file to be; it may exist.
        transparent: whether it will have alpha.
        size: its height and width in pixels, where they are known.
    Raises:
        InputError: an unknown ending, a format without alpha or for smaller pictures, a folder that
            is missing or cannot be written to, or something other than a file at the path.
    """
    path = Path(path)
    kind = _format(path)
    if transparent:
        _check_transparency(kind, path)
    if size is not None:
        _check_size(kind, path, size)
    # A link stays one; what it leads to is replaced.
    folder = (Path(os.path.realpath(path)) if path.is_symlink() else path).parent
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} to write {path.name} into; create it first")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file that can be replaced; choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"the folder {folder} cannot be written to; choose another")
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{path} is write-protected; choose another name")


def _format(path: Path) -> str:
    if path.suffix.lower() not in ENDINGS:
        raise unknown_name("ending of the output's name", path.suffix or path.name, ENDINGS)
    return ENDINGS[path.suffix.lower()]


def _check_size(kind: str, path: Path, size: tuple[int, int]) -> None:
    height, width = size
    if max(size) > LONGEST_SIDES.get(kind, max(size)):
        raise InputError(
            f"{path.suffix} files hold {LONGEST_SIDES[kind]} px a side at most, "
            f"not {width}x{height}; write a .png"
        )


def _check_transparency(kind: str, path: Path) -> None:
    if kind == "JPEG":
        raise InputError(f"JPEG has no transparency for {path.name}; write a .png, .webp or .tiff")
