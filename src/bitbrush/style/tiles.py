"""A large picture in overlapping tiles, so that no map of the whole of it is ever made.

A network's maps of a tile equal those of the whole picture wherever their receptive field lies
within the tile. Each tile is therefore seen with a halo as wide as the deepest tap's reach, which
is cut off its maps: what remains is the tile's own. The tiles' own parts make up the whole maps,
each position once.

Tiles begin at multiples of the deepest tap's stride, and their size leaves the same remainder as
that of the whole picture: layers that stride, and whose borders depend on the size, then fall on
the same pixels in a tile as in the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..networks.taps import Tap

HALOS = 4
"""A tile's sides are at least so many halos, however little memory there is: with less, nearly
all that is computed would be cut off."""


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels of the whole picture.

    Attributes:
        start, stop: what is seen, halo included.
        first, last: its own part.
        final: whether its own part ends with the picture.
    """

    start: int
    stop: int
    first: int
    last: int
    final: bool

    def seen(self) -> slice:
        """Of the whole picture."""
        return slice(self.start, self.stop)

    def own(self, stride: int) -> slice:
        """Of a tap's map of the tile."""
        offset = (self.first - self.start) // stride
        # To the map's end where the picture ends: a layer without padding may end it early.
        return slice(offset, None if self.final else offset + (self.last - self.first) // stride)


@dataclass(frozen=True)
class Tile:
    """A part of a picture."""

    rows: Span
    columns: Span

    @property
    def pixels(self) -> int:
        """Pixels seen, halo included."""
        return (self.rows.stop - self.rows.start) * (self.columns.stop - self.columns.start)

    def own(self, stride: int) -> tuple[slice, slice, slice, slice]:
        """The index of its own part in a tap's map of the tile, [1, C, H, W]."""
        return slice(None), slice(None), self.rows.own(stride), self.columns.own(stride)


def spans(size: int, count: int, step: int, halo: int) -> list[Span]:
    """One axis in so many parts of nearly equal width.

    Args:
        size: of the whole picture in pixels.
        count: of tiles; fewer come of it where the picture is too small.
        step: tiles begin at its multiples.
        halo: a multiple of the step.
    """
    steps = size // step
    starts = {round(steps * index / count) * step for index in range(count)}
    edges = [*sorted(starts - {size}), size]
    found = []
    for first, last in zip(edges, edges[1:], strict=False):
        # The end lies a multiple of the step before the picture's, for the same remainder.
        stop = size - max(size - last - halo, 0) // step * step
        found.append(Span(max(first - halo, 0), stop, first, last, last == size))
    return found


def plan(height: int, width: int, taps: Sequence[Tap], multiple: int, pixels: float) -> list[Tile]:
    """The tiles of a picture that take the least computing.

    Args:
        height, width: of the picture that the network is fed.
        taps: that are used; the reach of each is known.
        multiple: what the network pads the picture's sides to.
        pixels: the most that a tile may show, as far as `HALOS` allows.
    """
    step = math.lcm(multiple, *(tap.stride for tap in taps))
    reach = max(tap.reach or 0 for tap in taps)
    halo = -(-reach // step) * step
    rows, columns = _counts(height, width, step, halo, max(pixels, (HALOS * halo) ** 2))
    return [
        Tile(row, column)
        for row in spans(height, rows, step, halo)
        for column in spans(width, columns, step, halo)
    ]


def _counts(height: int, width: int, step: int, halo: int, pixels: float) -> tuple[int, int]:
    """Rows and columns of tiles, with the least seen in all."""

    def largest(size: int, count: int) -> int:
        own = -(-size // step // count) * step + step
        return min(own + 2 * halo, size) if count > 1 else size

    def seen(size: int, count: int) -> int:
        return size + 2 * halo * (count - 1)

    # With own parts narrower than halos there is nothing to be gained.
    most_rows, most_columns = (max(size // max(halo, step), 1) for size in (height, width))
    best = most_rows, most_columns
    columns = most_columns
    for rows in range(1, most_rows + 1):
        # The more rows, the fewer columns will do.
        while columns > 1 and largest(height, rows) * largest(width, columns - 1) <= pixels:
            columns -= 1
        if largest(height, rows) * largest(width, columns) <= pixels:
            best = min(best, (rows, columns), key=lambda n: seen(height, n[0]) * seen(width, n[1]))
    return best
