"""What a painting should not have: grids, noise, coloured grain, frames at its border.

Each index is a ratio. 1 is what a clean picture, or the style, has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError

WINDOW = 128
"""Side in pixels of the parts whose spectra are averaged."""

PERIODS = (2, 4, 8, 16)
"""Of lattices in pixels: what strides and poolings of networks leave behind."""

NEAR = (3, 4, 5)
"""Distances in frequency, of 1 / WINDOW, of the neighbours a lattice's energy is compared with. A
window spreads a line over less than that."""

FINE = 0.125
"""Cycles a pixel, a quarter of Nyquist's: what is above is fine grain."""

FRAME = 4
"""Pixels at the border that may be a frame, and width of the bands it is compared with."""

BANDS = 6
"""Such bands further inside."""

FAINT = 1e-7
"""Energy below which there is none: 8 bits cannot show it."""

SEEN = (0.5 / 255) ** 2 / 2
"""Energy of a lattice whose crests are half a step of 8 bits high. Below that nobody sees it; and
the less noise a picture has, the more a trace would seem to be."""

LINE = 4 / 9
"""Share of a lattice's energy that Hann's window leaves at its frequency."""

UNSEEN = 0.01
"""Energy of coloured grain, over that of the style's grain in luminance, which nobody sees in it. A
style without colour would else make noise of any trace of it."""

_OPPONENTS = ((0.2126, 0.7152, 0.0722), (0.5, -0.5, 0.0), (-0.25, -0.25, 0.5))
"""Luminance (of sRGB), red against green, blue against yellow."""


@dataclass(frozen=True)
class Artefacts:
    """Indices of a painting; the lower, the better.

    Attributes:
        grid: energy of the worst lattice over that of neighbouring frequencies; 1 where it is too
            faint for 8 bits.
        grid_of_style: the same of the style picture.
        noise: energy of luminance above a quarter of Nyquist's frequency over the style's.
        chroma_noise: the same of colour.
        border: contrast of the outermost pixels to their neighbours over that further inside.
    """

    grid: float
    grid_of_style: float
    noise: float
    chroma_noise: float
    border: float

    @property
    def grid_against_style(self) -> float:
        """The one over the other."""
        return self.grid / self.grid_of_style


def artefacts(painting: Tensor, style: Tensor) -> Artefacts:
    """Of a painting beside its style.

    Args:
        painting, style: RGB [1, 3, H, W] in [0, 1], each side at least WINDOW pixels.
    Raises:
        InputError: one is smaller.
    """
    ours, theirs = spectrum(painting), spectrum(style)
    unseen = UNSEEN * _fine(theirs[:1])
    return Artefacts(
        grid=max(lattice(ours[0], period) for period in PERIODS),
        grid_of_style=max(lattice(theirs[0], period) for period in PERIODS),
        noise=_fine(ours[:1]) / _fine(theirs[:1]),
        chroma_noise=(_fine(ours[1:]) + unseen) / (_fine(theirs[1:]) + unseen),
        border=border_contrast(painting),
    )


def spectrum(picture: Tensor) -> Tensor:
    """Mean power of luminance and two colours over windows that overlap by half.

    Returns:
        [3, WINDOW, WINDOW]: its sum is the mean square of a pixel's deviation from its window.
    Raises:
        InputError: the picture is smaller than a window.
    Source: Welch 1967, with Hann's window.
    """
    height, width = picture.shape[-2:]
    if min(height, width) < WINDOW:
        raise InputError(f"artefacts can be judged from a short side of {WINDOW} px on")
    values = torch.einsum("kc,chw->khw", torch.tensor(_OPPONENTS), picture[0].float().cpu())
    parts = torch.stack(
        [
            values[:, top : top + WINDOW, left : left + WINDOW]
            for top in _starts(height)
            for left in _starts(width)
        ]
    )
    hann = torch.hann_window(WINDOW, periodic=True)
    window = hann[:, None] * hann[None]
    parts = (parts - parts.mean((2, 3), keepdim=True)) * window
    power: Tensor = torch.fft.fft2(parts).abs().square().mean(0)
    return power / (WINDOW**2 * window.square().sum())


def _starts(side: int) -> list[int]:
    count = max(math.ceil((side - WINDOW) / (WINDOW // 2)), 0) + 1
    if count == 1:
        return [0]
    return [round(index * (side - WINDOW) / (count - 1)) for index in range(count)]


def lattice(power: Tensor, period: int) -> float:
    """Energy at a lattice's frequencies over what their neighbours let expect.

    Lines across, lines down, and both at once (a checkerboard): the strongest counts.

    Args:
        power: [WINDOW, WINDOW], as `spectrum` gives it.
        period: of the lattice in pixels.
    """
    line = WINDOW // period
    # Pictures have most energy on the axes, so a point there has its neighbours there too.
    along, across = [(0, d) for d in NEAR], [(d, 0) for d in NEAR]
    points = (((0, line), along), ((line, 0), across), ((line, line), along + across))
    return max(_excess(power, point, steps) for point, steps in points)


def _excess(power: Tensor, point: tuple[int, int], steps: list[tuple[int, int]]) -> float:
    y, x = point
    around = []
    for dy, dx in steps:
        around += [_at(power, y + dy, x + dx), _at(power, y - dy, x - dx)]
    expected = math.exp(sum(map(math.log, around)) / len(around))
    return _at(power, y, x) / expected


def _at(power: Tensor, y: int, x: int) -> float:
    """Frequencies wrap around."""
    return float(power[y % WINDOW, x % WINDOW]) + LINE * SEEN


def _fine(power: Tensor) -> float:
    frequencies = torch.fft.fftfreq(WINDOW)
    radius = (frequencies[:, None].square() + frequencies[None].square()).sqrt()
    return float(power[:, radius > FINE].sum()) + FAINT


def border_contrast(picture: Tensor) -> float:
    """Contrast across the inner edge of a frame of FRAME pixels over that between bands inside it.

    Args:
        picture: [1, 3, H, W], sides at least 2 FRAME (BANDS + 1).
    """
    found = []
    for turned in (picture, picture.flip(2), picture.mT, picture.mT.flip(2)):
        strip = turned[..., : FRAME * (BANDS + 1), :].float()
        bands = strip.reshape(1, 3, BANDS + 1, FRAME, -1).mean(3)
        steps = (bands[:, :, 1:] - bands[:, :, :-1]).square().mean((0, 1, 3))
        found.append(steps)
    outer, *inner = torch.stack(found).sum(0).tolist()
    return float((outer + FAINT) / (sum(inner) / len(inner) + FAINT))
