"""Tesserae of stone and gold glass, laid in rows along the contours of coils and waves."""

from __future__ import annotations

import numpy as np

from .cells import divided, settled
from .fields import Array, as_array, fractal, grid, noise, smoothstep
from .pigment import lit, mixed, palette, ramp, varied

STONES = palette(
    "101d45", "16508c", "2394b4", "93d0bf", "f7edcf", "efc042", "d9812a", "b5371f", "521626"
)
GROUT = palette("3b342c", "6e6353")
TILES = 3300


def _scene(size: int) -> tuple[Array, Array]:
    """Directions of the rows in radians, and a phase in [0, 1) that chooses the stone."""
    x, y = grid(size)
    height = 0.55 * np.sin(5.5 * x + 2.0 * y + 0.7 * fractal(size, 2, 31, octaves=2))
    height += 2.3 * y
    for cx, cy, radius in ((0.27, 0.30, 0.24), (0.76, 0.68, 0.25), (0.80, 0.16, 0.13)):
        distance = np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
        inside = 1 - smoothstep(as_array(distance), radius * 0.85, radius * 1.05)
        spiral = distance * 6 + np.arctan2(y - cy, x - cx) / (2 * np.pi) * 0.5
        height = height * (1 - inside) + inside * spiral
    down, right = np.gradient(height)
    angle = np.arctan2(down, right) + np.pi / 2
    return as_array(angle), as_array((height * 1.45) % 1.0)


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    rng = np.random.default_rng(549)
    directions, phase = _scene(384)
    x, y = as_array(rng.uniform(0, 1, (2, TILES)))
    reach = np.full(TILES, 0.032, dtype=np.float32)
    for _ in range(3):
        column, row = np.int_(np.clip(x, 0, 0.999) * 384), np.int_(np.clip(y, 0, 0.999) * 384)
        x, y = settled(x, y, reach, directions[row, column], 0.9, 4, size=288)
    column, row = np.int_(np.clip(x, 0, 0.999) * 384), np.int_(np.clip(y, 0, 0.999) * 384)
    turn = as_array(directions[row, column] + rng.normal(0, 0.05, TILES))
    cells = divided(size, x, y, reach, turn, 0.9)

    tone = phase[row, column] + rng.normal(0, 0.028, TILES)
    stones = varied(ramp(as_array(tone % 1.0), STONES), 0.085, rng)
    odd = rng.random(TILES) < 0.03
    stones[odd] = varied(STONES[rng.integers(0, len(STONES), odd.sum())], 0.08, rng)
    face = stones[np.maximum(cells.owner, 0)]
    # Each stone is cut at its own tilt and has its own veins.
    tilt = rng.normal(0, 1, (TILES, 2)).astype(np.float32)[np.maximum(cells.owner, 0)]
    gx, gy = grid(size)
    own_x, own_y = gx - x[cells.owner], gy - y[cells.owner]
    sheen = (tilt[..., 0] * own_x + tilt[..., 1] * own_y) * 16
    veins = 0.06 * fractal(size, 60, 7, octaves=3)
    face = as_array(np.clip(face * (1 + sheen + veins)[..., None], 0, 1))

    gap = as_array(cells.next - cells.near + 0.0011 * noise(size, 120, 3))
    stone = smoothstep(gap, 0.0016, 0.0038)
    bed = ramp(as_array(0.5 + 0.3 * fractal(size, 90, 9, octaves=3)), GROUT)
    dome = smoothstep(gap, 0.0015, 0.010) * 0.5
    return lit(mixed(bed, face, stone), as_array(dome + 0.02 * noise(size, 160, 5)), 1.1)
