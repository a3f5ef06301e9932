"""Smooth random fields over the unit square, and ways to follow them.

Every field is a float32 array [size, size] over the unit square, x to the right and y down. Random
numbers are drawn on lattices of a fixed number of cells, so a field is the same at every size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.float32]


def as_array(values: Any) -> Array:
    """The values as a float32 array."""
    return np.asarray(values, dtype=np.float32)


def grid(size: int) -> tuple[Array, Array]:
    """The coordinates x and y of every pixel's centre, each [size, size] in (0, 1)."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = np.meshgrid(line, line)
    return as_array(x), as_array(y)


def resized(field: Array, width: int, height: int) -> Array:
    """A field enlarged or reduced smoothly (bicubic, antialiased)."""
    return as_array(Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC))


def noise(size: int, cells: int, seed: int, tall: float = 1.0) -> Array:
    """Smooth noise of mean 0 and standard deviation about 1.

    Args:
        cells: waves across the width; `cells * tall` across the height.
        seed: of the lattice; the same seed gives the same noise at any size.
    """
    rows = max(2, round(cells * tall))
    lattice = np.random.default_rng(seed).standard_normal((rows + 4, cells + 4))
    # The two outermost cells are cut off: there the interpolation sees the border.
    box = (2.0, 2.0, cells + 2.0, rows + 2.0)
    picture = Image.fromarray(lattice.astype(np.float32))
    field = as_array(picture.resize((size, size), Image.Resampling.BICUBIC, box=box))
    return as_array(field * 1.35)


def fractal(size: int, cells: int, seed: int, octaves: int = 5, fall: float = 0.55) -> Array:
    """Noise of deviation about 1, summed over octaves, each twice as fine and weaker."""
    total = np.zeros((size, size), dtype=np.float32)
    power = 0.0
    for octave in range(octaves):
        total += fall**octave * noise(size, cells * 2**octave, seed + 101 * octave)
        power += fall ** (2 * octave)
    return as_array(total / np.sqrt(power))


def sample(field: npt.NDArray[Any], x: Array, y: Array) -> Array:
    """The field (or picture [size, size, 3]) at points of the unit square, bilinear, edges held."""
    size = field.shape[0]
    column = np.clip(x * size - 0.5, 0, size - 1.001)
    row = np.clip(y * size - 0.5, 0, size - 1.001)
    i, j = row.astype(np.intp), column.astype(np.intp)
    down, right = as_array(row - i), as_array(column - j)
    if field.ndim == 3:
        down, right = down[..., None], right[..., None]
    i1, j1 = np.minimum(i + 1, size - 1), np.minimum(j + 1, size - 1)
    top = field[i, j] * (1 - right) + field[i, j1] * right
    bottom = field[i1, j] * (1 - right) + field[i1, j1] * right
    return as_array(top * (1 - down) + bottom * down)


def smoothstep(values: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return as_array(t * t * (3 - 2 * t))


def blur(field: Array, radius: float) -> Array:
    """A field smoothed by three box filters of about this radius in the unit square's units."""
    size = field.shape[0]
    half = max(1, round(radius * size / 1.7))
    for axis in (0, 1) * 3:
        padding = [(0, 0)] * field.ndim
        padding[axis] = (half + 1, half)
        total = np.cumsum(np.pad(field, padding, mode="edge"), axis=axis, dtype=np.float64)
        ends = np.take(total, range(2 * half + 1, total.shape[axis]), axis=axis)
        starts = np.take(total, range(total.shape[axis] - 2 * half - 1), axis=axis)
        field = as_array((ends - starts) / (2 * half + 1))
    return field


def streamlines(angle: Array, x: Array, y: Array, length: Array, steps: int) -> Array:
    """Paths through points, followed forwards and backwards along a field of directions.

    Args:
        angle: directions in radians, [size, size].
        x, y: the middle of each path, [N].
        length: of each path in units of the square, [N].
        steps: points to either side of the middle.
    Returns:
        points [N, 2 * steps + 1, 2], x before y.
    """
    path = np.empty((len(x), 2 * steps + 1, 2), dtype=np.float32)
    path[:, steps] = np.stack([x, y], axis=1)
    for sign in (1, -1):
        px, py = x, y
        for step in range(1, steps + 1):
            direction = _direction(angle, px, py)
            px = as_array(px + sign * length / (2 * steps) * np.cos(direction))
            py = as_array(py + sign * length / (2 * steps) * np.sin(direction))
            path[:, steps + sign * step] = np.stack([px, py], axis=1)
    return path


def smeared(texture: Array, angle: Array, length: float, steps: int = 12) -> Array:
    """A texture averaged along a field of directions, as a comb would draw it.

    Args:
        length: of the average in units of the square.
    Source: line integral convolution, Cabral and Leedom 1993.
    """
    size = texture.shape[0]
    total = texture.copy()
    for sign in (1, -1):
        x, y = grid(size)
        for _ in range(steps):
            direction = _direction(angle, x, y)
            x = as_array(x + sign * length / (2 * steps) * np.cos(direction))
            y = as_array(y + sign * length / (2 * steps) * np.sin(direction))
            total += _nearest(texture, x, y)
    return as_array(total / (2 * steps + 1))


def _nearest(field: Array, x: Array, y: Array) -> Array:
    size = field.shape[0]
    row = np.clip(y * size, 0, size - 1).astype(np.int32)
    column = np.clip(x * size, 0, size - 1).astype(np.int32)
    return as_array(field[row, column])


def _direction(angle: Array, x: Array, y: Array) -> Array:
    # Nearest, because angles cannot be averaged where they wrap around.
    return _nearest(angle, x, y)


def equalised(field: Array) -> Array:
    """The field's values replaced by their rank, spread evenly over [0, 1]."""
    # A quantile table is as good as a full sort here and far quicker.
    table = np.quantile(field[::4, ::4], np.linspace(0, 1, 257))
    return as_array(np.interp(field, table, np.linspace(0, 1, 257)))
