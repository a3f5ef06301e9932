"""A picture in memory, whether it can be painted, and its resizing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ..errors import InputError

SMALLEST_SIDE = 32
"""Pixels of the short side below which no network has anything to look at."""


@dataclass(frozen=True)
class Picture:
    """What was in a picture file.

    Attributes:
        rgb: sRGB [1, 3, H, W] in [0, 1], float32.
        alpha: opacity [1, 1, H, W] in [0, 1], float32; None if the file has none.
        notes: what the user should know about the reading, such as that an animation's first
            frame was taken.
        name: the file's name without its folder.
        sha256: of the file's bytes, in hexadecimal.
    """

    rgb: Tensor
    alpha: Tensor | None
    notes: tuple[str, ...]
    name: str
    sha256: str

    @property
    def height(self) -> int:
        """In pixels."""
        return self.rgb.shape[-2]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.rgb.shape[-1]


def check_paintable(picture: Picture) -> None:
    """Makes sure that the picture is large enough to be a content or style image.

    Raises:
        InputError: its short side is below `SMALLEST_SIDE`.
    """
    if min(picture.height, picture.width) < SMALLEST_SIDE:
        raise InputError(
            f"{picture.name} is {picture.width}x{picture.height} px, which is too small: "
            f"the short side must be {SMALLEST_SIDE} px or more"
        )


def cropped(picture: Picture, ratio: tuple[int, int]) -> Picture:
    """The largest middle part of a picture that has this ratio of width to height.

    Its hash stays that of the file.
    """
    width, height = ratio
    wide = min(picture.width, max(round(picture.height * width / height), 1))
    high = min(picture.height, max(round(picture.width * height / width), 1))
    left, top = (picture.width - wide) // 2, (picture.height - high) // 2
    part = (..., slice(top, top + high), slice(left, left + wide))
    alpha = None if picture.alpha is None else picture.alpha[part]
    return dataclasses.replace(picture, rgb=picture.rgb[part], alpha=alpha)


def opaque(picture: Picture) -> Picture:
    """The picture before a white ground, without alpha; noted where anything shone through."""
    if picture.alpha is None:
        return picture
    if bool((picture.alpha == 1).all()):
        return dataclasses.replace(picture, alpha=None)
    rgb = picture.rgb * picture.alpha + (1 - picture.alpha)
    notes = (*picture.notes, "its transparent parts are taken for white")
    return dataclasses.replace(picture, rgb=rgb, alpha=None, notes=notes)


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """The picture at another size: bicubic, smoothed first where it shrinks.

    Args:
        image: [N, C, H, W] in [0, 1], float.
        height, width: in pixels, at least 1.
    Returns:
        [N, C, height, width] in [0, 1]: overshoot at edges is cut off. At the same size the very
        same tensor.
    """
    if image.shape[-2:] == (height, width):
        return image
    resized = functional.interpolate(
        image, size=(height, width), mode="bicubic", align_corners=False, antialias=True
    )
    return resized.clamp(0, 1)
