"""The unit square divided among sites: panes of glass, tesserae, stones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .fields import Array, as_array


@dataclass(frozen=True)
class Cells:
    """Who owns each pixel.

    Attributes:
        owner: the site's number, int32 [size, size]; -1 where no site reaches.
        near, next: distance to the nearest site and to the second nearest, float32.
    """

    owner: npt.NDArray[np.int32]
    near: Array
    next: Array


def divided(
    size: int, x: Array, y: Array, reach: Array, angle: Array | None = None, square: float = 0.0
) -> Cells:
    """Gives each pixel to its nearest site.

    Args:
        x, y: the sites, [N], in units of the square.
        reach: how far each one can own a pixel, [N]; large enough to leave no gap.
        angle: each site's own direction in radians, [N]; none is 0.
        square: 0 measures distance in a circle, 1 in a square turned by `angle`.
    """
    owner = np.full((size, size), -1, dtype=np.int32)
    near = np.full((size, size), 9, dtype=np.float32)
    second = np.full((size, size), 9, dtype=np.float32)
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    turn = np.zeros_like(x) if angle is None else angle
    cosine, sine = np.cos(turn), np.sin(turn)
    for k in range(len(x)):
        left, right = (int(np.clip((x[k] + s * reach[k]) * size, 0, size)) for s in (-1, 1))
        top, bottom = (int(np.clip((y[k] + s * reach[k]) * size, 0, size)) for s in (-1, 1))
        if left >= right or top >= bottom:
            continue
        dx, dy = line[None, left:right] - x[k], line[top:bottom, None] - y[k]
        round_distance = np.sqrt(dx * dx + dy * dy)
        distance = round_distance
        if square:
            u, v = np.abs(dx * cosine[k] + dy * sine[k]), np.abs(dy * cosine[k] - dx * sine[k])
            distance = square * np.maximum(u, v) + (1 - square) * round_distance
        window = np.s_[top:bottom, left:right]
        nearer = distance < near[window]
        second[window] = np.where(nearer, near[window], np.minimum(second[window], distance))
        near[window] = np.where(nearer, distance, near[window])
        owner[window][nearer] = k
    return Cells(owner, near, second)


def settled(
    x: Array, y: Array, reach: Array, angle: Array, square: float, rounds: int, size: int = 320
) -> tuple[Array, Array]:
    """Moves the sites to the middle of what they own, again and again, so that they spread evenly.

    Source: Lloyd's algorithm with an oriented distance, Hausner 2001, "Simulating decorative
    mosaics".
    """
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    for _ in range(rounds):
        owner = divided(size, x, y, reach, angle, square).owner
        held = owner >= 0
        number = np.bincount(owner[held], minlength=len(x))
        columns = np.broadcast_to(line[None, :], owner.shape)[held]
        rows = np.broadcast_to(line[:, None], owner.shape)[held]
        safe = np.maximum(number, 1)
        middle_x = np.bincount(owner[held], columns, len(x)) / safe
        middle_y = np.bincount(owner[held], rows, len(x)) / safe
        x = as_array(np.where(number > 0, middle_x, x))
        y = as_array(np.where(number > 0, middle_y, y))
    return x, y
