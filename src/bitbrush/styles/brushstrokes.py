"""Thick oil strokes that follow a swirling night sky."""

from __future__ import annotations

import numpy as np

from .fields import Array, as_array, fractal, grid, sample, streamlines
from .pigment import Paint, palette, ramp, saturated, varied

NIGHT = palette(
    "0b1433",
    "12265c",
    "1b3f8b",
    "2f62ad",
    "5b8fc4",
    "9cc0cf",
    "dfe0c0",
    "f3e3a0",
    "eebb4d",
    "d98a2b",
)
EMBER = palette("c2571f", "7a3b1e", "e9d7a8", "2f6f6b", "f2c14e", "173a4a")

# Whirls: x, y, radius, turning; a glow sits in the middle of each.
WHIRLS = (
    (0.30, 0.32, 0.20, 1.0),
    (0.74, 0.56, 0.23, -1.0),
    (0.86, 0.14, 0.11, 1.0),
    (0.12, 0.80, 0.14, -1.0),
    (0.47, 0.87, 0.12, 1.0),
    (0.57, 0.10, 0.08, -1.0),
    (0.05, 0.45, 0.07, 1.0),
    (0.95, 0.90, 0.10, 1.0),
)


def _scene(size: int) -> tuple[Array, Array]:
    """Directions in radians and brightness, about [0, 1], of the sky."""
    x, y = grid(size)
    drift = 0.25 * np.sin(7 * x + 3 * y) + 0.35 * fractal(size, 3, 5, octaves=3)
    flow_x, flow_y = np.cos(drift), np.sin(drift)
    light = 0.30 + 0.13 * fractal(size, 4, 17, octaves=4)
    for cx, cy, radius, turn in WHIRLS:
        dx, dy = x - cx, y - cy
        distance = np.sqrt(dx * dx + dy * dy) + 1e-4
        pull = 3.2 * np.exp(-((distance / radius) ** 2) * 0.9)
        # A little outward drift makes the rings spiral.
        flow_x += pull * (-turn * dy + 0.25 * dx) / distance
        flow_y += pull * (turn * dx + 0.25 * dy) / distance
        rings = 0.5 + 0.5 * np.cos(distance / radius * 9.5 + np.arctan2(dy, dx) * turn)
        light += np.exp(-((distance / radius) ** 2) * 1.3) * (0.24 * rings - 0.03)
        light += 0.75 * np.exp(-((distance / (0.30 * radius)) ** 2))
    return as_array(np.arctan2(flow_y, flow_x)), as_array(light)


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    rng = np.random.default_rng(1889)
    angle, light = _scene(size)
    paint = Paint(ramp(as_array(light * 0.8), NIGHT))
    # Broad strokes first, then shorter and narrower ones.
    for count, length, width, spread in (
        (900, 0.16, 0.026, 0.05),
        (2000, 0.10, 0.014, 0.09),
        (1900, 0.065, 0.0085, 0.13),
    ):
        x, y = as_array(rng.uniform(-0.03, 1.03, (2, count)))
        lengths = as_array(length * rng.uniform(0.6, 1.3, count))
        paths = streamlines(angle, x, y, lengths, 6)
        tone = sample(light, x, y) + rng.normal(0, spread, count)
        colours = varied(ramp(as_array(tone), NIGHT), 0.09, rng)
        odd = rng.random(count) < 0.06
        colours[odd] = varied(EMBER[rng.integers(0, len(EMBER), odd.sum())], 0.1, rng)
        widths = as_array(width * rng.uniform(0.6, 1.25, count))
        paint.strokes(paths, colours, widths, rng)
    return saturated(paint.finished(1.5), 1.05)
