"""Broken planes of ochre, grey, green and blue that slide over one another."""

from __future__ import annotations

import numpy as np

from .fields import Array, as_array, blur, fractal, grid, noise, smeared, smoothstep
from .pigment import Paint, chosen, lit, mixed, palette, varied

PLANES = palette(
    "b9843f", "e0c485", "7d4a26", "56707a", "9db3ad", "1f4a66", "4a7050", "f0e4c0", "b5452c",
    "2e2220", "d6a53a", "6a97b8",
)  # fmt: skip
SHARES = (5, 4, 3, 3, 3, 4, 3, 4, 2, 2, 3, 3)
DARK, PALE = palette("1a1513", "f6ebd0")
SHARDS = 120
DABS = 7000


def _shard(x: Array, y: Array, reach: float, turn: float, rng: np.random.Generator) -> Array:
    """Distances inside each edge of a shard of 3 to 5 sides around 0, [edges, H, W]."""
    sides = int(rng.integers(3, 6))
    distances = []
    for side in range(sides):
        normal = turn + 2 * np.pi * (side + rng.normal(0, 0.13)) / sides
        bow = rng.uniform(1.0, 3.0) if rng.random() < 0.2 else 0.0
        u = x * np.cos(normal) + y * np.sin(normal)
        v = y * np.cos(normal) - x * np.sin(normal)
        distances.append(reach * rng.uniform(0.40, 0.75) - u - bow * v * v)
    # Long tips are rounded off, where the window that it is painted in ends.
    distances.append(1.45 * reach - np.sqrt(x * x + y * y))
    return as_array(np.stack(distances))


def _planes(size: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """The picture [size, size, 3], the brush's directions in radians, and the drawn lines."""
    x, y = grid(size)
    # Edges drawn by a hand, not a ruler.
    x, y = as_array(x + 0.0016 * fractal(size, 14, 1)), as_array(y + 0.0016 * fractal(size, 14, 2))
    press = smoothstep(noise(size, 9, 6), -1.2, 0.4)
    picture = as_array(np.broadcast_to(PLANES[0], (size, size, 3)).copy())
    angle = np.zeros((size, size), dtype=np.float32)
    lines = np.zeros((size, size), dtype=np.float32)
    colours = varied(chosen(PLANES, SHARES, SHARDS, rng), 0.07, rng)
    for shard, colour in enumerate(colours):
        # Large ones first, splinters last.
        reach = 0.27 * (1 - shard / SHARDS) ** 1.1 + 0.055
        cx, cy = rng.uniform(-0.02, 1.02, 2)
        turn = float(rng.choice([0.35, 1.15, 1.9, 2.7]) + rng.normal(0, 0.2))
        low_x, high_x, low_y, high_y = (
            int(np.clip(value * size, 0, size))
            for value in (cx - 1.5 * reach, cx + 1.5 * reach, cy - 1.5 * reach, cy + 1.5 * reach)
        )
        window = np.s_[low_y:high_y, low_x:high_x]
        if picture[window].size == 0:
            continue
        edges = _shard(as_array(x[window] - cx), as_array(y[window] - cy), reach, turn, rng)
        inside, first = as_array(edges.min(axis=0)), edges[0]
        cover = smoothstep(inside, -0.0008, 0.0008)
        # Passage: light or dark on one edge, dissolving into what lies beneath on the other.
        fade = np.exp(-np.clip(first, 0, 1) / (reach * rng.uniform(0.3, 0.7)))
        toward, much = (PALE, 0.55) if rng.random() < 0.5 else (DARK, 0.62)
        face = colour + (toward - colour) * (much * fade[..., None])
        opacity = as_array(cover * np.clip(rng.uniform(0.50, 0.9) + 0.4 * fade, 0, 1))
        picture[window] = mixed(picture[window], as_array(face), opacity)
        angle[window][inside > 0] = turn + np.pi / 2
        width = rng.uniform(0.0009, 0.0026) * (rng.random() < 0.7)
        stroke = 1 - smoothstep(as_array(np.abs(inside) - width), -0.0008, 0.0012)
        under = lines[window] * (1 - 0.7 * cover)
        lines[window] = np.maximum(under, stroke * press[window] * (width > 0))
    return picture, angle, lines


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    rng = np.random.default_rng(1910)
    picture, angle, lines = _planes(size, rng)
    dabs = Paint(picture)
    px, py = as_array(rng.uniform(0, 1, (2, DABS)))
    row, column = np.int_(py * size), np.int_(px * size)
    turn = as_array(angle[row, column] + rng.normal(0, 0.10, DABS))
    half = as_array(rng.uniform(0.006, 0.015, DABS))
    along = np.stack([np.cos(turn), np.sin(turn)], axis=1) * half[:, None]
    t = np.linspace(-1, 1, 5, dtype=np.float32)
    paths = as_array(np.stack([px, py], axis=1)[:, None] + along[:, None] * t[None, :, None])
    # Dabs stay within their plane, which keeps its edges clean, and half of the planes have none.
    ends = (np.clip(paths[:, (0, -1)], 0, 0.999) * size).astype(np.intp)
    within = (angle[ends[..., 1], ends[..., 0]] == angle[row, column][:, None]).all(axis=1)
    kept = within & (np.sin(angle[row, column] * 37) > -0.1)
    fresh = varied(picture[row, column], 0.075, rng)
    widths = as_array(rng.uniform(0.006, 0.011, DABS))
    dabs.strokes(paths[kept], fresh[kept], widths[kept], rng, bristles=4, variety=0.03)
    painted = mixed(
        dabs.finished(0.55), np.broadcast_to(DARK, picture.shape), as_array(lines * 0.85)
    )
    weave = smeared(noise(size, 200, 4), angle, 0.012, steps=5)
    return lit(painted, blur(as_array(0.10 * weave), 0.0008), 0.5)
