"""The last step of a preset: few colours, screens and inks, by Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageColor, ImageEnhance, ImageOps
from torch import Tensor

from ..images import to_pillow
from .preset import Finish

_DITHERS = {"none": Image.Dither.NONE, "diffusion": Image.Dither.FLOYDSTEINBERG}
_BAYER_SIDE = 8
_RANKS = 1025

Floats = npt.NDArray[np.float64]


def finished(image: Tensor, finish: Finish) -> Tensor:
    """The picture with its finish.

    Args:
        image: sRGB [1, 3, H, W] in [0, 1].
        finish: what to do.
    Returns:
        sRGB of the same shape in [0, 1], of 8 bits a channel.
    """
    picture = to_pillow(image)
    width, height = picture.size
    side = 1
    if finish.across is not None and finish.dither != "halftone":
        # Whole pixels, so that all squares are of one size.
        side = max(1, round(max(width, height) / finish.across))
        picture = picture.reduce(side)
    picture = _KINDS[finish.kind](picture, finish)
    if side > 1:
        enlarged = (picture.width * side, picture.height * side)
        picture = picture.resize(enlarged, Image.Resampling.NEAREST).crop((0, 0, width, height))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].to(image) / 255


def _posterised(picture: Image.Image, finish: Finish) -> Image.Image:
    if finish.contrast is not None:
        picture = ImageOps.autocontrast(picture, finish.contrast, preserve_tone=True)
    if finish.saturation != 1:
        picture = ImageEnhance.Color(picture).enhance(finish.saturation)
    if finish.inks:
        palette = _palette([ImageColor.getrgb(ink) for ink in finish.inks])
    else:
        assert finish.colours is not None
        # Means of clusters, since the middles of median cut's boxes are duller than the picture.
        palette = picture.quantize(finish.colours, Image.Quantize.MEDIANCUT, kmeans=4)
    return picture.quantize(palette=palette, dither=_DITHERS[finish.dither]).convert("RGB")


def _toned(picture: Image.Image, finish: Finish) -> Image.Image:
    grey = _grey(picture, finish)
    inks = np.array([ImageColor.getrgb(ink) for ink in finish.inks], np.uint8)
    steps = len(inks) - 1
    if finish.dither in _DITHERS:
        ramp = _palette([(round(255 * n / steps),) * 3 for n in range(len(inks))])
        chosen = grey.convert("RGB").quantize(palette=ramp, dither=_DITHERS[finish.dither])
        # Entries that fill up the palette are copies of the lightest.
        numbers = np.minimum(np.asarray(chosen), steps)
    else:
        height, width = grey.height, grey.width
        screen = _bayer(height, width)
        if finish.dither == "halftone":
            assert finish.across is not None
            screen = _halftone(height, width, max(height, width) / finish.across)
        shade = np.asarray(grey) / 255 * steps
        numbers = np.minimum(np.floor(shade + screen), steps).astype(np.uint8)
    return Image.fromarray(inks[numbers])


def _duotone(picture: Image.Image, finish: Finish) -> Image.Image:
    middle = finish.inks[1] if len(finish.inks) == 3 else None
    return ImageOps.colorize(
        _grey(picture, finish), black=finish.inks[0], white=finish.inks[-1], mid=middle
    )


_KINDS = {"posterise": _posterised, "tones": _toned, "duotone": _duotone}


def _grey(picture: Image.Image, finish: Finish) -> Image.Image:
    grey = picture.convert("L")
    return grey if finish.contrast is None else ImageOps.autocontrast(grey, finish.contrast)


def _palette(colours: Sequence[tuple[int, ...]]) -> Image.Image:
    """A picture whose palette these are; Pillow quantizes to that of a picture."""
    # All 256 entries, since Pillow would fill them up with black.
    entries = [*colours, *[colours[-1]] * (256 - len(colours))]
    picture = Image.new("P", (1, 1))
    picture.putpalette([value for colour in entries for value in colour[:3]])
    return picture


def _bayer(height: int, width: int) -> Floats:
    """Thresholds in (0, 1), [height, width]: each 8x8 tile has all 64 of them, evenly mixed."""
    tile = np.zeros((1, 1))
    while len(tile) < _BAYER_SIDE:
        tile = np.block([[4 * tile, 4 * tile + 2], [4 * tile + 3, 4 * tile + 1]])
    tile = (tile + 0.5) / tile.size
    tiled: Floats = np.tile(tile, (-(-height // len(tile)), -(-width // len(tile))))[
        :height, :width
    ]
    return tiled


def _halftone(height: int, width: int, cell: float) -> Floats:
    """Thresholds in [0, 1], [height, width], of dots in a lattice turned by 45 degrees.

    Args:
        cell: distance of neighbouring dots in pixels.
    """
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    turn = np.sqrt(0.5) * 2 * np.pi / cell
    down, right = rows[:, None] * turn, columns[None, :] * turn
    waves = np.cos(right + down) + np.cos(right - down)
    # By rank, so that a shade is the share of the paper that it leaves uncovered.
    screen: Floats = np.interp(-waves, _ranked_waves(), np.linspace(0, 1, _RANKS))
    return screen


@cache
def _ranked_waves() -> Floats:
    """The quantiles of a period of the dots' waves."""
    phase = np.cos(2 * np.pi * (np.arange(1024) + 0.5) / 1024)
    quantiles: Floats = np.quantile(phase[:, None] + phase[None, :], np.linspace(0, 1, _RANKS))
    return quantiles
