"""A garden in soft pastel: hatched strokes that catch on the tooth of a dark paper."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .fields import Array, as_array, blur, fractal, grid, noise, sample, smoothstep
from .pigment import drawn, fills, mixed, palette, paper, ramp, varied

GROUND = palette("3a3440")[0]
LEAVES = palette("16323f", "1f5a5a", "3f8a5a", "8fb85a", "d8dc8a")
BLOOMS = palette("f2f0e2", "f7c9d0", "e86a8a", "c22f5a", "f4b545", "f07a3a", "9a7ad0", "5a6fd0")
FLOWERS = 46


def _scene(size: int) -> tuple[Array, Array]:
    """Colours [size, size, 3] and the hatching's directions in radians."""
    rng = np.random.default_rng(1895)
    x, y = grid(size)
    rough = fractal(size, 4, 151, octaves=4)
    picture = ramp(as_array(0.48 + 0.20 * rough + 0.22 * np.sin(5 * x - 7 * y + rough)), LEAVES)
    angle = as_array(0.9 + 0.7 * noise(size, 3, 153) + 0.2 * rough)
    for flower in range(FLOWERS):
        cx, cy = rng.uniform(0, 1, 2)
        radius = 0.135 * (1 - flower / FLOWERS) ** 0.8 + 0.03
        dx, dy = x - cx, y - cy
        turn, petals = np.arctan2(dy, dx), int(rng.integers(5, 9))
        distance = as_array(np.sqrt(dx * dx + (dy * rng.uniform(1.0, 1.35)) ** 2) / radius)
        lobes = 0.82 + 0.18 * np.cos(petals * turn + rng.uniform(0, 6)) + 0.06 * rough
        cover = 1 - smoothstep(as_array(distance / lobes), 0.93, 1.05)
        first, second = rng.choice(len(BLOOMS), 2, replace=False)
        shades = np.stack([BLOOMS[(first + 4) % len(BLOOMS)], BLOOMS[first], BLOOMS[first],
                           0.5 * BLOOMS[first] + 0.5 * BLOOMS[second]])  # fmt: skip
        shadow = (
            1 - 0.38 * np.exp(-(((distance - 0.32) / 0.12) ** 2)) + 0.10 * np.cos(petals * turn)
        )
        face = np.clip(ramp(distance, shades) * shadow[..., None], 0, 1)
        # The flower's shadow falls on what is behind it.
        dark = 1 - smoothstep(as_array(distance / lobes), 0.9, 1.45)
        picture = as_array(picture * (1 - 0.45 * dark[..., None]))
        picture = mixed(picture, as_array(face), cover)
        swirl = turn + (np.pi / 2 if flower % 3 else 0.15)
        angle = as_array(np.where(cover > 0.4, swirl, angle))
    return picture, angle


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    rng = np.random.default_rng(1896)
    scene, angle = _scene(448)
    picture, grain = paper(size, GROUND, 155, 0.10)
    tooth = smoothstep(as_array(noise(size, 330, 157) + 0.6 * noise(size, 165, 158)), -2.4, 2.4)
    tooth = as_array(0.6 * tooth + 0.4 * grain)
    # Coat upon coat: rubbed in at first, then lighter and sharper strokes on the peaks alone.
    for coat, (count, length, width, depth, lift) in enumerate(
        (
            (3000, 0.050, 0.0120, 0.20, 0.80),
            (4200, 0.042, 0.0060, 0.36, 1.00),
            (4200, 0.034, 0.0044, 0.42, 1.10),
            (3000, 0.030, 0.0034, 0.46, 1.25),
        )
    ):
        chalk = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
        mask = Image.new("L", (size, size), 0)
        pen, press = ImageDraw.Draw(chalk), ImageDraw.Draw(mask)
        x, y = as_array(rng.uniform(0, 1, (2, count)))
        row, column = np.int_(y * 448), np.int_(x * 448)
        # Hatching: half of the strokes share one slant, the rest follow the form.
        slant = np.where(rng.random(count) < 0.3, -0.95, angle[row, column])
        slant = slant + rng.normal(0, 0.13, count)
        colours = fills(varied(as_array(sample(scene, x, y) * lift), 0.11 + 0.02 * coat, rng))
        half = length * rng.uniform(0.3, 0.75, count)
        bend = rng.normal(0, 0.14, count)
        t = np.linspace(-1, 1, 6)[None]
        px = x[:, None] + half[:, None] * t * np.cos(slant[:, None] + bend[:, None] * t)
        py = y[:, None] + half[:, None] * t * np.sin(slant[:, None] + bend[:, None] * t)
        lines = (np.stack([px, py], axis=2).reshape(count, -1) * size).tolist()
        widths = np.maximum(1, np.round(width * size * rng.uniform(0.6, 1.3, count))).astype(int)
        force = rng.integers(120, 255, count).tolist()
        for line, colour, w, level in zip(lines, colours, widths.tolist(), force, strict=True):
            pen.line(line, fill=colour, width=w)
            press.line(line, fill=level, width=w)
        weight = blur(drawn(mask), 0.0007)
        caught = smoothstep(as_array(tooth + 0.42 * weight - depth), 0.14, 0.34) * (weight > 0.02)
        picture = mixed(picture, drawn(chalk), as_array(caught * (0.55 + 0.45 * weight)))
    return as_array(np.clip(picture, 0, 1))
