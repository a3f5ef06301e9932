"""Wet washes that bloom, gather at their rims and settle in the tooth of the paper."""

from __future__ import annotations

import numpy as np

from .fields import Array, as_array, blur, fractal, grid, noise, sample, smoothstep
from .pigment import palette, paper, varied

SHEET = palette("faf4e6")[0]
WASHES = palette(
    "2a5c9a", "3f8fb0", "5aa58a", "9cb455", "e8bf4a", "e58a4a", "d2555a", "a8447f", "5b4a94",
)  # fmt: skip
DEEP = palette("1d2f57", "3a2a4f", "7c2b35", "1f4a44")
BLOBS = 130


def _washed(
    light: Array, colour: Array, inside: Array, thick: Array, strength: float, rim: float
) -> None:
    """Stains a window of the sheet, in place.

    Args:
        light: RGB [H, W, 3] that the sheet still reflects.
        inside: distance inside the wash's edge; thick: how much pigment settled where.
    """
    cover = smoothstep(inside, -0.0012, 0.0016)
    # As a wash dries, its pigment wanders to the rim.
    edge = np.exp(-np.clip(inside, 0, 1) / 0.0028) + 0.45 * np.exp(-np.clip(inside, 0, 1) / 0.016)
    # A stained sheet takes less: painters stop before the colour turns to mud.
    room = light.mean(axis=2)
    load = cover * strength * np.clip(0.50 + thick + rim * edge, 0, 2) * room**0.8
    light *= np.maximum(colour, 0.03) ** load[..., None]


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    rng = np.random.default_rng(1801)
    x, y = grid(size)
    sheet, grain = paper(size, SHEET, 111, 0.045)
    light = np.ones((size, size, 3), dtype=np.float32)
    # Water wanders: every edge is bent by the same few ragged fields, each seen elsewhere.
    ragged = [fractal(size, 7, 213 + 7 * k, octaves=6, fall=0.52) for k in range(3)]
    settle = 0.22 * (0.5 - grain) + 0.10 * fractal(size, 24, 131, octaves=4)
    hue = fractal(size, 2, 1801, octaves=2)
    for blob in range(BLOBS):
        radius = 0.16 * (1 - blob / BLOBS) ** 1.4 + 0.022 * rng.uniform(0.6, 1.6)
        cx, cy = rng.uniform(-0.02, 1.02, 2)
        low_x, high_x, low_y, high_y = (
            int(np.clip(value * size, 0, size))
            for value in (
                cx - 2.7 * radius,
                cx + 2.7 * radius,
                cy - 2.7 * radius,
                cy + 2.7 * radius,
            )
        )
        window = np.s_[low_y:high_y, low_x:high_x]
        if light[window].size == 0:
            continue
        turn = 0.6 * np.sin(5 * cx) + rng.normal(0, 0.5)
        dx, dy = x[window] - cx, y[window] - cy
        u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        distance = np.sqrt((u * 0.75) ** 2 + (v * rng.uniform(1.0, 1.5)) ** 2)
        bend = ragged[blob % 3][window] * radius * 0.24 + ragged[(blob + 1) % 3][window] * 0.011
        inside = as_array(radius - distance + bend)
        place = float(sample(hue, as_array([cx]), as_array([cy]))[0]) * 2.2 + rng.normal(0, 0.7)
        colour = WASHES[int(place + 4.5) % len(WASHES)]
        if radius < 0.06 and rng.random() < 0.2:
            colour = DEEP[rng.integers(0, len(DEEP))]
        colour = varied(colour[None], 0.05, rng)[0]
        # Wet in wet: one side carries more water than the other.
        pool = 0.30 * np.tanh((u * rng.choice([-1, 1]) + 0.4 * bend) / radius)
        strength = rng.uniform(0.35, 0.9) * (1.5 if radius < 0.06 else 0.75)
        _washed(light[window], colour, inside, as_array(pool + settle[window]), strength,
                rng.uniform(0.35, 1.0))  # fmt: skip

    # Drops of clean water push the pigment back and leave cauliflowers.
    back = np.ones((size, size), dtype=np.float32)
    for _ in range(34):
        cx, cy = rng.uniform(0, 1, 2)
        radius = rng.uniform(0.012, 0.05)
        inside = radius - np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
        inside = as_array(inside + radius * 0.35 * ragged[2])
        bloom = smoothstep(inside, 0, radius * 0.5)
        back *= 1 - 0.45 * bloom + 0.35 * np.exp(-((inside / (0.08 * radius + 0.001)) ** 2))
    light **= back[..., None]
    # Spatter from a loaded brush.
    dots = smoothstep(as_array(noise(size, 110, 141) + 0.4 * noise(size, 37, 143)), 3.2, 3.4)
    light *= 1 - 0.6 * dots[..., None] * (1 - DEEP[0])
    return as_array(np.clip(sheet * (light * 0.9 + 0.1 * blur(as_array(light), 0.004)), 0, 1))
