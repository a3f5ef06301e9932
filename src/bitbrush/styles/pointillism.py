"""A river at evening in dots of pure colour that mix in the eye."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .fields import Array, as_array, blur, fractal, grid, noise, sample, smoothstep
from .pigment import drawn, fills, lit, mixed, palette, ramp

SKY = palette("3c62a8", "7fa8d0", "c9cfe0", "f4d9b8", "f7b56a")
WATER = palette("1f3f7d", "3f78b5", "86b4cf", "f2c98f", "f08f4f")
TREES = palette("14304a", "1f5a4c", "4f8f3f", "a8b84a", "f0cf52")
MEADOW = palette("26456b", "2f7a4a", "7fb043", "d9cc4e", "f6e08a")
PIGMENTS = palette(
    "20347e", "3f6fc0", "86b6e6", "5b3a8e", "b07fc4", "d9476a", "e8622c", "f59b33", "f8d552",
    "fdf0c0", "8fbf45", "2f8a4f", "125a5a", "f2b8b0", "7a2f2f", "101c44",
)  # fmt: skip


def _scene(size: int) -> Array:
    """The motif in broad tones, RGB [size, size, 3]."""
    x, y = grid(size)
    rough = fractal(size, 5, 23, octaves=5)
    sun = np.exp(-(((x - 0.36) / 0.26) ** 2 + ((y - 0.33) / 0.17) ** 2))
    cloud = 0.22 * fractal(size, 3, 29, octaves=4)
    picture = ramp(as_array(0.05 + 0.9 * y + 0.55 * sun + cloud), SKY)
    ripple = 0.18 * np.sin(y * 90 + 5 * rough) * (0.4 + y) + 0.16 * rough
    glitter = np.exp(-(((x - 0.36 - 0.05 * np.sin(9 * y)) / 0.11) ** 2))
    shore = y - 0.46 - 0.012 * rough
    water = ramp(as_array(0.28 + ripple + 0.55 * glitter), WATER)
    picture = mixed(picture, water, smoothstep(as_array(shore), -0.004, 0.004))
    # A far bank, then near trees with their light side to the sun, then a meadow.
    bank = 0.40 + 0.035 * np.sin(7 * x + 1) + 0.02 * noise(size, 14, 27)
    far = smoothstep(as_array(y - bank), 0, 0.01) * (1 - smoothstep(as_array(shore), 0.0, 0.02))
    picture = mixed(picture, ramp(as_array(0.30 + 0.2 * rough), TREES), as_array(far * 0.85))
    for cx, cy, wide, high in (
        (0.83, 0.30, 0.20, 0.29), (0.99, 0.46, 0.17, 0.24), (0.05, 0.34, 0.11, 0.22),
        (0.66, 0.45, 0.08, 0.12),
    ):  # fmt: skip
        distance = np.sqrt(((x - cx) / wide) ** 2 + ((y - cy) / high) ** 2) + 0.16 * rough
        light = 0.42 - 1.1 * (x - cx) / wide * 0.35 - 0.3 * (y - cy) / high + 0.22 * rough
        cover = 1 - smoothstep(as_array(distance), 0.86, 0.98)
        picture = mixed(picture, ramp(as_array(light), TREES), cover)
    edge = y - 0.76 + 0.14 * np.sin(3.1 * x - 0.4) - 0.025 * rough
    stripes = 0.55 + 0.26 * np.sin(14 * x + 26 * y + 2 * rough) + 0.20 * rough
    meadow = ramp(as_array(stripes), MEADOW)
    return mixed(picture, meadow, smoothstep(as_array(edge), -0.006, 0.006))


def _divided(colours: Array, rng: np.random.Generator) -> Array:
    """A pure pigment for each colour [N, 3], chosen at random among those that mix to it."""
    away = np.linalg.norm(colours[:, None] - PIGMENTS[None], axis=2)
    # The complement of the tone comes in, too: it is what makes the dots vibrate.
    opposite = np.clip(1.8 * colours.mean(axis=1, keepdims=True) - 0.8 * colours + 0.04, 0, 1)
    other = np.linalg.norm(opposite[:, None] - PIGMENTS[None], axis=2)
    liking = np.exp(-((away / 0.23) ** 2)) + 0.16 * np.exp(-((other / 0.2) ** 2)) + 1e-6
    total = np.cumsum(liking / liking.sum(axis=1, keepdims=True), axis=1)
    pick = np.minimum((rng.random((len(colours), 1)) > total).sum(axis=1), len(PIGMENTS) - 1)
    return as_array(np.clip(PIGMENTS[pick] * 0.72 + colours * 0.28, 0, 1))


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    rng = np.random.default_rng(1886)
    scene = _scene(512)
    ground = mixed(blur(sample(scene, *grid(size)), 0.01), np.ones((size, size, 3), np.float32),
                   np.full((size, size), 0.25, np.float32))  # fmt: skip
    picture = Image.fromarray((ground * 255).astype(np.uint8))
    relief = Image.new("L", (size, size), 40)
    pen, thickness = ImageDraw.Draw(picture), ImageDraw.Draw(relief)
    for count, radius in ((6000, 0.0088), (9000, 0.0066), (11000, 0.0050)):
        x, y = as_array(rng.uniform(0, 1, (2, count)))
        dots = fills(_divided(sample(scene, x, y), rng))
        radii = radius * rng.uniform(0.75, 1.25, count)
        wide, tall = radii * rng.uniform(0.85, 1.2, count), radii * rng.uniform(0.85, 1.1, count)
        thick = rng.integers(110, 255, count)
        boxes = np.stack([x - wide, y - tall, x + wide, y + tall], axis=1) * size
        for box, dot, height in zip(boxes.tolist(), dots, thick.tolist(), strict=True):
            pen.ellipse(box, fill=dot)
            thickness.ellipse(box, fill=height)
    height = blur(drawn(relief), 0.0016)
    return lit(drawn(picture), height, 0.16)
