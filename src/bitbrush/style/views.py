"""How the network sees the picture: shifted under it at random, turned, with mirrored borders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MARGIN = 8
"""Mirrored pixels on every side, so that a network's padding does not paint a frame."""


@dataclass(frozen=True)
class View:
    """A picture turned, with a mirrored border of given widths, then a change of scale.

    Attributes:
        top, left: cells added before, in pixels.
        extra: cells added along each axis in all.
        scale: the network sees the picture this much larger.
        orientation: 0 … 3: odd ones are mirrored, those from 2 on upside down. What a network tells
            of a picture is not what it tells of the mirror image, so whoever compares both
            compares twice as much.
    """

    top: int
    left: int
    extra: int
    scale: float = 1.0
    orientation: int = 0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that the network sees of a picture of this height and width."""
        rows = height + sum(_fit(self.top, self.extra, height))
        columns = width + sum(_fit(self.left, self.extra, width))
        if self.scale == 1:
            return rows, columns
        return max(round(rows * self.scale), 1), max(round(columns * self.scale), 1)

    def __call__(self, image: Tensor) -> Tensor:
        """image: [1, C, H, W]; returns the larger picture."""
        height, width = image.shape[-2:]
        top, bottom = _fit(self.top, self.extra, height)
        left, right = _fit(self.left, self.extra, width)
        axes = [axis for axis, turned in zip((2, 3), self._turned, strict=True) if turned]
        turned = image.flip(axes) if axes else image
        seen = functional.pad(turned, (left, right, top, bottom), mode="reflect")
        if self.scale == 1:
            return seen
        size = self.size(height, width)
        return functional.interpolate(
            seen, size, mode="bilinear", align_corners=False, antialias=self.scale < 1
        )

    def sources(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """For each row and each column that is seen, which of the picture's it shows.

        For views that change no scale: these can be had in parts, without the whole.
        """
        if self.scale != 1:
            raise ValueError("a view that changes the scale mixes rows")
        rows = _mirrored(height, *_fit(self.top, self.extra, height))
        columns = _mirrored(width, *_fit(self.left, self.extra, width))
        upside_down, mirrored = self._turned
        return (
            height - 1 - rows if upside_down else rows,
            width - 1 - columns if mirrored else columns,
        )

    @property
    def _turned(self) -> tuple[bool, bool]:
        """Whether rows and columns come in the opposite order."""
        return self.orientation >= 2, self.orientation % 2 == 1


def _mirrored(size: int, before: int, after: int) -> Tensor:
    indices = torch.arange(-before, size + after).abs()
    return torch.where(indices < size, indices, 2 * (size - 1) - indices)


def _fit(before: int, extra: int, size: int) -> tuple[int, int]:
    # A mirrored border must be narrower than the picture itself.
    return min(before, size - 1), min(extra - before, size - 1)


PARITIES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Of the shifts along both axes, in turn."""


def random_view(
    roll: int, scale: float, random: torch.Generator, turn: int, orientations: int = 1
) -> View:
    """A view whose picture is shifted by 0 … roll pixels along each axis.

    The size seen is the same for every shift. Shifts of all lengths change the phase of every
    stride in the network, which keeps its lattice out of the painting; small ones suffice where
    orientations take turns (docs/settings.md). Even and odd ones take turns, too: of a few draws
    too many would be of one kind, and a stride of two would show.

    Args:
        turn: number of the view, from 0 on.
        orientations: that take turns, so that each meets all kinds of shifts.
    """
    top, left = (
        shift if shift % 2 == parity or not roll else shift + (1 if shift < roll else -1)
        for shift, parity in zip(
            torch.randint(roll + 1, (2,), generator=random).tolist(),
            PARITIES[turn % len(PARITIES)],
            strict=True,
        )
    )
    orientation = (turn + turn // len(PARITIES)) % orientations
    return View(MARGIN + top, MARGIN + left, 2 * MARGIN + roll, scale, orientation)


def noisy(image: Tensor, spread: float, random: torch.Generator) -> Tensor:
    """A picture with noise on it; itself where there is to be none.

    One-bit layers tell much the same about pictures that are nearly the same, but each jumps at
    other places. Over many steps the gradient is that of what they tell on average.

    Args:
        image: [1, C, H, W].
        spread: standard deviation of the noise, which is uniform.
    """
    if spread == 0:
        return image
    noise = torch.rand(image.shape, generator=random).sub_(0.5).mul_(math.sqrt(12) * spread)
    return image + noise.to(image.device)


def blurred(values: Tensor, times: int = 1) -> Tensor:
    """Values [1, C, H, W] under the kernel [1 2 1] x [1 2 1] / 16, borders repeated.

    The kernel is zero at a period of two pixels, where strided convolutions put a checkerboard.

    Args:
        times: that it is applied, at least 1: once for 3 px, twice for 5 px, …
    """
    # By sums: a convolution would copy a large picture into a layout of 16 channels.
    for axis in (2, 3) * times:
        last = values.shape[axis] - 1
        result = values / 2
        for side in (0, 1):
            inner = result.narrow(axis, 1 - side, last)
            inner.add_(values.narrow(axis, side, last), alpha=0.25)
            edge = side * last
            result.narrow(axis, edge, 1).add_(values.narrow(axis, edge, 1), alpha=0.25)
        values = result
    return values
