"""Leaded glass with the sun behind it: blossoms of panes on a stream of blue and green."""

from __future__ import annotations

import numpy as np

from .cells import divided
from .fields import Array, as_array, blur, fractal, grid, noise, sample, smoothstep
from .pigment import lit, mixed, palette, varied

STREAM = palette("0d2a66", "0f5a9c", "1b93b8", "39b59a", "1d7a4c", "284b9b", "9ed8d3", "d9e6c4")
FLAMES = palette("f6d743", "f09a1f", "dd4b1f", "b3162f", "7a1457", "4a1d7f")
LEAD = palette("100f12")

# Blossoms: x, y, radius, petals in the innermost ring.
BLOSSOMS = (
    (0.33, 0.36, 0.29, 7),
    (0.79, 0.72, 0.24, 6),
    (0.80, 0.17, 0.16, 5),
    (0.17, 0.86, 0.17, 5),
)


def _sites(rng: np.random.Generator) -> tuple[Array, Array]:
    """Where the panes are, [N, 2], and their colours, [N, 3]."""
    points: list[tuple[float, float]] = []
    colours: list[Array] = []
    for number, (cx, cy, radius, petals) in enumerate(BLOSSOMS):
        rings = 2 + round(radius / 0.07)
        points.append((cx, cy))
        colours.append(FLAMES[0])
        for ring in range(1, rings):
            panes = petals + 3 * ring - 1
            for pane in range(panes):
                turn = 2 * np.pi * (pane + 0.5 * (ring % 2)) / panes + rng.normal(0, 0.05)
                far = radius * ring / rings * (1 + rng.normal(0, 0.04))
                points.append((cx + far * np.cos(turn), cy + far * np.sin(turn)))
                shade = (ring + number + int(rng.integers(0, 2))) % len(FLAMES)
                colours.append(FLAMES[shade])
    tries = 0
    while tries < 6000:
        tries += 1
        x, y = rng.uniform(-0.03, 1.03, 2)
        spacing = 0.045 if (x + y) % 0.5 < 0.25 else 0.062
        if any(np.hypot(x - cx, y - cy) < radius * 0.95 for cx, cy, radius, _ in BLOSSOMS):
            continue
        if min(np.hypot(x - px, y - py) for px, py in points) < spacing:
            continue
        points.append((x, y))
        band = np.sin(6 * x - 4 * y + 2 * np.sin(5 * y)) * 0.5 + 0.5
        shade = int(np.clip(band * len(STREAM) + rng.normal(0, 0.9), 0, len(STREAM) - 1))
        colours.append(STREAM[shade] if rng.random() > 0.07 else FLAMES[rng.integers(0, 3)])
    return as_array(points), as_array(colours)


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    rng = np.random.default_rng(1260)
    points, colours = _sites(rng)
    panes = divided(size, points[:, 0], points[:, 1], np.full(len(points), 0.13, np.float32))
    # Bent leads: the whole window is seen through a gentle warp.
    x, y = grid(size)
    bent_x = as_array(x + 0.008 * fractal(size, 7, 41, octaves=2))
    bent_y = as_array(y + 0.008 * fractal(size, 7, 43, octaves=2))
    column = np.clip(bent_x * size, 0, size - 1).astype(np.int32)
    row = np.clip(bent_y * size, 0, size - 1).astype(np.int32)
    owner = np.maximum(panes.owner[row, column], 0)
    gap = sample(as_array(panes.next - panes.near), bent_x, bent_y)

    glass = varied(colours, 0.10, rng)[owner]
    # Light falls off within a pane, and hand-made glass is streaked and full of seeds.
    count = len(points)
    slant = rng.uniform(0, 2 * np.pi, count).astype(np.float32)[owner]
    own_x, own_y = bent_x - points[owner, 0], bent_y - points[owner, 1]
    fall = (own_x * np.cos(slant) + own_y * np.sin(slant)) * 7
    along = fractal(size, 9, 45, octaves=5)
    streaks = sample(
        noise(size, 130, 47), as_array(0.25 * x + 0.05 * along), as_array(y + 0.02 * along)
    )
    seeds = smoothstep(noise(size, 190, 49), 1.9, 2.6)
    light = 1.05 + fall + 0.13 * along + 0.07 * streaks + 0.3 * seeds
    centre = smoothstep(gap, 0.0, 0.05)
    glass = np.clip(glass * (light * (0.72 + 0.5 * centre))[..., None], 0, 1)
    glass = as_array(glass + 0.22 * blur(as_array(glass), 0.02) * glass)

    width = 0.0082 + 0.0014 * fractal(size, 12, 51, octaves=2)
    lead = 1 - smoothstep(as_array(gap - width), -0.0010, 0.0012)
    profile = as_array(np.sqrt(np.clip(1 - (gap / width) ** 2, 0, 1)))
    metal = as_array(np.broadcast_to(LEAD[0] + 0.10, glass.shape))
    metal = lit(metal * (1 + 0.2 * noise(size, 150, 53)[..., None]), as_array(profile * 0.5), 0.8)
    # The glow of the glass creeps over the lead.
    metal = as_array(metal * 0.7 + 0.22 * blur(as_array(glass), 0.008))
    return as_array(np.clip(mixed(as_array(np.clip(glass, 0, 1)), metal, lead), 0, 1))
