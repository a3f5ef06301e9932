"""Pictures to paint from: files, built-in styles, and what a program has in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError, unknown_name
from ..images import Picture, check_paintable, cropped, from_pillow, opaque, read_image
from ..styles import LARGEST, SMALLEST, render_style, style_names
from .settings import INITS

Source = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor | Picture
"""What a picture may be given as: see `as_picture`."""


def as_picture(source: Source) -> Picture:
    """A picture from any of its forms.

    Args:
        source: a path; a PIL image; an array [H, W], [H, W, 3] or [H, W, 4], uint8 or float in
            [0, 1]; a tensor [3, H, W] or [1, 3, H, W] in [0, 1].
    Raises:
        InputError: it cannot be read, has another shape, or is too small or too narrow to paint.
    """
    if isinstance(source, Picture):
        picture = source
    elif isinstance(source, Image.Image):
        picture = from_pillow(source)
    elif isinstance(source, np.ndarray):
        picture = _from_array(source, "array")
    elif isinstance(source, Tensor):
        picture = _from_tensor(source)
    elif isinstance(source, (str, os.PathLike)):
        picture = read_image(source)
    else:
        raise InputError(
            f"a picture is a path, a PIL image, an array or a tensor, not {type(source).__name__}"
        )
    check_paintable(picture)
    return picture


def as_style(source: Source, size: int) -> Picture:
    """As `as_picture`, before white where it is transparent; or a built-in style by its name.

    Args:
        size: side of a built-in style in pixels, as near as it can be drawn.
    Raises:
        InputError: neither a file nor a built-in style, or as `as_picture`.
    """
    if isinstance(source, str) and is_name_of_style(source):
        return _from_array(_drawn(source, min(max(size, SMALLEST), LARGEST)), source)
    return opaque(as_picture(source))


@lru_cache(maxsize=1)
def _drawn(name: str, size: int) -> np.ndarray[Any, Any]:
    """Kept, since a laboratory asks for the same one for every painting; it takes a second."""
    return render_style(name, size)


def is_name_of_style(text: str) -> bool:
    """Whether a text is a built-in style's name, and not a file's.

    Raises:
        InputError: it is neither, and looks like a name that was misspelt.
    """
    if Path(text).is_file():
        return False
    if text in style_names():
        return True
    if Path(text).exists() or Path(text).suffix or os.sep in text:
        return False
    raise unknown_name("style (no such file or built-in style)", text, style_names())


def as_init(source: Source, content: Picture) -> Picture | None:
    """The picture to begin a painting with; None where `INITS` has the word for it.

    Of a picture of another shape than the content's the middle is taken.

    Raises:
        InputError: neither a file nor one of those words, or as `as_picture`.
    """
    if isinstance(source, str) and source in INITS:
        return None
    if isinstance(source, str) and not (Path(source).exists() or Path(source).suffix):
        raise unknown_name("--init (no such file or word)", source, INITS)
    picture = opaque(as_picture(source))
    part = cropped(picture, (content.width, content.height))
    # A painting of the content differs from its shape by a pixel at most.
    if max(picture.width - part.width, picture.height - part.height) > 1:
        note = f"its middle of {part.width}x{part.height} px is used, of the content's shape"
        part = dataclasses.replace(part, notes=(*part.notes, note))
    return part


def _from_array(array: np.ndarray[Any, Any], name: str) -> Picture:
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
        raise InputError(f"an array is [H, W], [H, W, 3] or [H, W, 4], not {list(array.shape)}")
    if array.dtype == np.uint8:
        values = array.astype(np.float32) / 255
    elif np.issubdtype(array.dtype, np.floating):
        values = array.astype(np.float32)
    else:
        raise InputError(f"an array of pixels is uint8, or float in [0, 1], not {array.dtype}")
    tensor = torch.from_numpy(values).permute(2, 0, 1)[None].contiguous()
    return _checked(tensor[:, :3], tensor[:, 3:] if array.shape[2] == 4 else None, name)


def _from_tensor(tensor: Tensor) -> Picture:
    if not tensor.is_floating_point():
        raise InputError(f"a tensor of pixels is float in [0, 1], not {tensor.dtype}")
    rgb = tensor.detach().cpu().float()
    if rgb.dim() == 3:
        rgb = rgb[None]
    if rgb.dim() != 4 or rgb.shape[:2] != (1, 3) or rgb.numel() == 0:
        raise InputError(f"a tensor is [3, H, W] or [1, 3, H, W], not {list(tensor.shape)}")
    return _checked(rgb, None, "tensor")


def _checked(rgb: Tensor, alpha: Tensor | None, name: str) -> Picture:
    rgb = rgb.contiguous()
    for values in (rgb, alpha):
        # Written so that no number (NaN) is out of range too.
        if values is not None and not (float(values.min()) >= 0 and float(values.max()) <= 1):
            raise InputError("float pixels must lie in [0, 1]")
    digest = hashlib.sha256(rgb.numpy().tobytes()).hexdigest()
    return Picture(rgb=rgb, alpha=alpha, notes=(), name=name, sha256=digest)
