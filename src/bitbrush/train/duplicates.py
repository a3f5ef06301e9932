"""Pictures that must not be trained with, because something is judged by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
"""Of the thumbnails that are compared, in pixels."""

ALIKE = 0.95
"""Correlation of two thumbnails from which on they show the same."""

PLAIN = 1e-3
"""Standard deviation of a thumbnail in [0, 1] that shows nothing, and so is like nothing."""


def thumbnail(picture: Image.Image) -> NDArray[np.float32]:
    """[SIDE²]: the grey picture, squeezed to a square, of mean 0 and length 1 (or 0 if plain)."""
    small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float32).ravel() / 255
    values = values - values.mean()
    spread = float(values.std())
    return values / np.linalg.norm(values) if spread > PLAIN else np.zeros_like(values)


class Unwanted:
    """Tells near-duplicates of some pictures, also mirrored ones.

    Args:
        pictures: that nothing may be like.
    """

    def __init__(self, pictures: Sequence[Image.Image]) -> None:
        both = [
            thumbnail(each)
            for picture in pictures
            for each in (picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        ]
        self._thumbnails = np.stack(both) if both else np.zeros((0, SIDE**2), np.float32)

    def __contains__(self, picture: Image.Image) -> bool:
        if not len(self._thumbnails):
            return False
        return float((self._thumbnails @ thumbnail(picture)).max()) >= ALIKE
