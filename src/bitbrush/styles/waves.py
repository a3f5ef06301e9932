"""Rolling waves as a colour print: flat blues in scallops, dark contours, foam and a red sun."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .fields import Array, as_array, blur, fractal, noise, smeared, smoothstep
from .pigment import drawn, fills, mixed, palette, paper, polygon

SHEET = palette("efe0bf")[0]
ACCENTS = palette("e59a78", "c9452f", "e3b04b", "7fae9a")
BLUES = palette("12264f", "1d4379", "2f6ea3", "74a6bd", "b9d3cf", "f4ead2")
LINE = palette("0c1733")
POINTS = 90


def _outline(cx: float, cy: float, radius: float, ring: float, lean: float, wave: Array) -> Array:
    """A scallop's edge [POINTS, 2]: a circle that leans over like a breaking wave."""
    turn = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    far = radius * ring * (1 + 0.05 * wave)
    # Inner rings sink towards the foot, so that the rings crowd together there.
    px = cx + far * np.cos(turn) + lean * radius * (1 - ring) * 0.5
    py = cy - far * np.sin(turn) * 1.08 + radius * (1 - ring) * 0.35
    return as_array(np.stack([px + lean * (cy - py) * 0.35, py], axis=1))


def _foam(pen: ImageDraw.ImageDraw, size: int, edge: Array, radius: float,
          rng: np.random.Generator) -> None:  # fmt: skip
    """Fingers and drops of foam along the crest of a scallop."""
    pale, dark = fills(BLUES[-1:])[0], fills(LINE)[0]
    for k in range(6, POINTS // 2 - 4):
        px, py = (float(value) for value in edge[k])
        reach = radius * (0.015 + 0.075 * rng.random() ** 2.5)
        for grow, fill in ((0.0016, dark), (0.0, pale)):
            r = reach + grow
            pen.ellipse([(px - r) * size, (py - r) * size, (px + r) * size, (py + r) * size], fill)
        if rng.random() < 0.3:
            away = edge[k] - edge.mean(axis=0)
            px, py = (edge[k] + away * rng.uniform(0.10, 0.28)).tolist()
            r = radius * rng.uniform(0.012, 0.032)
            pen.ellipse([(px - r) * size, (py - r) * size, (px + r) * size, (py + r) * size], pale)


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    rng = np.random.default_rng(1831)
    print_ = Image.new("RGB", (size, size), fills(SHEET[None])[0])
    pen = ImageDraw.Draw(print_)
    dark = fills(LINE)[0]
    rows = 14
    for row in range(rows):
        base = 0.02 + row * 0.082
        count = 6 + row % 2
        for place in rng.permutation(count + 1):
            cx = (place + 0.5 * (row % 2) - 0.3 + rng.normal(0, 0.10)) / (count - 1)
            swell = 0.05 * np.sin(cx * 6.5 + row * 0.7)
            cy = base + swell + rng.normal(0, 0.008)
            radius = 0.118 * rng.uniform(0.80, 1.25)
            lean = 0.5 * np.sin(cx * 4 + row * 0.9) + rng.normal(0, 0.12)
            wobble = np.convolve(rng.normal(0, 1, POINTS + 12), np.ones(13) / 5, "valid")
            # Close the wobble, so that the outline meets itself.
            wave = as_array(wobble * np.sin(np.linspace(0, np.pi, POINTS)))
            first = int(rng.integers(0, 4))
            rings = (1.0, 0.86, 0.70, 0.55, 0.40, 0.26, 0.13)
            tones = [(first + step * (1 + row % 2)) % 5 for step in range(len(rings))]
            for ring, tone in zip(rings, tones, strict=True):
                edge = _outline(cx, cy, radius, ring, lean, wave)
                polygon(pen, _outline(cx, cy, radius, ring + 0.022 * rng.uniform(0.6, 1.3), lean,
                                      wave), size, dark)  # fmt: skip
                fill = BLUES[tone + (tone == 4)]
                if tone >= 3 and rng.random() < 0.34:
                    fill = ACCENTS[rng.integers(0, len(ACCENTS))]
                polygon(pen, edge, size, fills(fill[None])[0])
            if rng.random() < 0.6:
                _foam(pen, size, _outline(cx, cy, radius, 0.97, lean, wave), radius, rng)
    flat = blur(drawn(print_), 0.0003)

    # The block's wood grain shows in the ink, and the ink is wiped darker here and there.
    level = np.zeros((size, size), dtype=np.float32) + 0.06 * fractal(size, 2, 77, octaves=3)
    wood = smeared(noise(size, 170, 78), as_array(level), 0.09, steps=8)
    wiped = 1 + 0.13 * wood + 0.07 * fractal(size, 5, 79, octaves=3)
    ground, grain = paper(size, SHEET, 80, 0.04)
    inked = as_array(np.clip(flat * wiped[..., None], 0, 1))
    return mixed(ground, inked, as_array(0.86 + 0.14 * smoothstep(grain, 0.25, 0.6)))
