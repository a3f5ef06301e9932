"""From a picture file to tensors.

Pillow reads; what it leaves to its caller is here: orientation, colour profiles, transparency in
all its spellings, and 16 bits a channel, which it has no colour mode for.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from .colour_profile import grey_to_srgb, is_srgb, to_srgb
from .files import open_picture, read_bytes
from .picture import Picture

ORIENTATION = 0x0112
"""Of Exif: how a picture is turned and mirrored, 1 to 8."""

_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
"""Tags of TIFF, and a value of the second."""


def read_image(path: str | os.PathLike[str]) -> Picture:
    """A picture file as sRGB tensors, turned the way it is meant to be seen.

    Reads PNG, JPEG, WebP, TIFF, GIF, BMP, PPM, JPEG 2000 and AVIF; colour, grey, palette, 1-bit,
    CMYK and L*a*b*; with 8 or 16 bits a channel. 16 bits are kept for grey, RGB and RGBA; they
    become 8 where an embedded colour profile other than sRGB has to be applied to colours, in
    grey PNG files with alpha, in TIFF files with premultiplied alpha, and in CMYK.

    Args:
        path: the file.
    Returns:
        the picture; its notes say what of the file was not used.
    Raises:
        InputError: no readable picture, or one beyond the limits in `files`.
    """
    path = Path(path)
    data = read_bytes(path)
    image = open_picture(data, path)
    try:
        notes = _notes_of_frames(image)
        low_bytes = _low_bytes(data, image, path)
        image.load()
        orientation = image.getexif().get(ORIENTATION, 1)
        rgb, alpha, colour_notes = _channels(image, low_bytes)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise nearly anything for damaged data
        raise InputError(f"{path} is damaged or incomplete: {error}") from error
    return Picture(
        rgb=_tensor(upright(rgb, orientation)),
        alpha=None if alpha is None else _tensor(upright(alpha, orientation)),
        notes=(*notes, *colour_notes),
        name=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def from_pillow(image: Image.Image) -> Picture:
    """A picture that Pillow has opened or made, read as `read_image` reads a file's.

    But for 16 bits a channel of colour, of which Pillow keeps the higher 8. Its hash is that of
    its pixels.

    Raises:
        InputError: its file is damaged, or its samples are out of range.
    """
    try:
        image.load()
        orientation = image.getexif().get(ORIENTATION, 1)
        rgb, alpha, notes = _channels(image, None)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # as for files
        raise InputError(f"the image cannot be read: {error}") from error
    pixels = _tensor(upright(rgb, orientation))
    return Picture(
        rgb=pixels,
        alpha=None if alpha is None else _tensor(upright(alpha, orientation)),
        notes=notes,
        name="image",
        sha256=hashlib.sha256(pixels.numpy().tobytes()).hexdigest(),
    )


def _notes_of_frames(image: Image.Image) -> tuple[str, ...]:
    if getattr(image, "n_frames", 1) < 2 or image.format == "MPO":
        return ()  # MPO: a photograph with previews of itself
    if image.format == "TIFF":
        return ("it has several pages: the first is used",)
    return ("it is animated: the first frame is used",)


def _channels(
    image: Image.Image, low_bytes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """RGB [H, W, 3] and alpha [H, W, 1] or None, in [0, 1], float32, and notes."""
    profile = image.info.get("icc_profile") or None
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = _deep_grey(image)
        key = image.info.get("transparency")
        alpha = None
        if isinstance(key, int) and image.mode != "F":
            alpha = (np.asarray(image) != key).astype(np.float32)[..., None]
        rgb, notes = grey_to_srgb(grey, profile)
        return rgb, alpha, notes
    if low_bytes is not None and is_srgb(profile):
        deep = (np.asarray(image).astype(np.uint16) << 8) | low_bytes
        return _deep_colour(deep, image.info.get("transparency"))
    is_grey = image.mode in ("L", "LA", "La")
    if image.mode in ("P", "PA", "LA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        transparent = image.mode != "P" or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
    alpha = None
    if image.mode == "RGBA":
        alpha = np.asarray(image.getchannel("A"), np.float32)[..., None] / 255
        # Back to grey, which a profile of grey is for.
        image = image.convert("L" if is_grey else "RGB")
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    converted, notes = to_srgb(image, profile)
    return np.asarray(converted, np.float32) / 255, alpha, notes


def _deep_grey(image: Image.Image) -> np.ndarray:
    """Grey of more than 8 bits in [0, 1]."""
    values = np.asarray(image).astype(np.float32)
    if image.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise InputError("its float samples are not in 0 … 1; save it with 8 or 16 bits")
        return values
    if values.min() < 0 or values.max() > 65535:
        raise InputError("its samples have 32 bits; save it with 8 or 16 bits")
    # Pillow gives the samples of TIFF files as they are stored.
    tags = getattr(image, "tag_v2", {})
    bits = min(*tags.get(_BITS, (16,)), 16)
    values /= 2**bits - 1
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        np.subtract(1, values, out=values)
    return values


def _deep_colour(
    deep: np.ndarray, key: Any
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    values = deep.astype(np.float32) / 65535
    alpha = values[..., 3:] if deep.shape[2] == 4 else None
    if alpha is None and isinstance(key, tuple) and len(key) == 3:
        alpha = (deep != np.array(key)).any(axis=2, keepdims=True).astype(np.float32)
    return values[..., :3], alpha, ()


def _low_bytes(data: bytes, image: Image.Image, path: Path) -> np.ndarray | None:
    """The lower bytes of 16-bit RGB or RGBA; None where the channels have 8 bits.

    Pillow keeps the higher byte of each sample. Told that the samples have the other byte order,
    it keeps the lower ones; so the file is decoded a second time.
    """
    if image.mode not in ("RGB", "RGBA") or not hasattr(image, "tile"):
        return None
    other = open_picture(data, path)
    tiles = []
    for tile in other.tile:  # type: ignore[attr-defined]
        arguments = tile[3]
        layout = arguments if isinstance(arguments, str) else arguments and arguments[0]
        swapped = _swapped(layout)
        if swapped is None:
            return None
        rest = swapped if isinstance(arguments, str) else (swapped, *arguments[1:])
        tiles.append(type(tile)(*tile[:3], rest))
    if not tiles:
        return None
    other.tile = tiles  # type: ignore[attr-defined]
    other.load()
    return np.asarray(other).astype(np.uint16)


def _swapped(layout: object) -> str | None:
    """The layout of 16-bit samples, such as RGB;16B, with the other byte order."""
    if not isinstance(layout, str) or layout[:-1] not in ("RGB;16", "RGBA;16"):
        return None
    native = "L" if sys.byteorder == "little" else "B"
    order = native if layout[-1] == "N" else layout[-1]
    return layout[:-1] + ("B" if order == "L" else "L")


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """[H, W, C] turned and mirrored as the Exif orientation (1 to 8) says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))[None])
