"""Black lines of swelling width, carved along a landscape, over three tint blocks."""

from __future__ import annotations

import numpy as np

from .fields import Array, as_array, blur, equalised, fractal, grid, noise, smeared, smoothstep
from .pigment import mixed, palette, paper

INK = palette("17130f")
SHEET, OCHRE, RED, TEAL = palette("f0e3c6", "e0a83f", "c2412a", "3c8284")


def _scene(size: int) -> tuple[Array, Array, Array]:
    """Directions in radians, darkness in [0, 1], and the number of each pixel's tint block."""
    x, y = grid(size)
    cx, cy = 0.66, 0.25
    distance = as_array(np.sqrt((x - cx) ** 2 + (y - cy) ** 2))
    around = np.arctan2(y - cy, x - cx)
    wobble = fractal(size, 3, 71, octaves=3)
    # Rays from the sun; inside it the lines run round.
    angle = np.where(distance < 0.13, around + np.pi / 2, around + 0.10 * wobble)
    rays = 0.5 + 0.5 * np.cos(around * 11 + 0.8 * wobble)
    dark = np.where(distance < 0.13, 0.12, 0.20 + 0.40 * rays)
    block = np.where(distance < 0.13, 2, np.where(distance < 0.30 + 0.02 * wobble, 1, 0))
    # Ridge before ridge, each lit on its crest and dark at its foot.
    for number in range(7):
        base = 0.36 + 0.105 * number
        swing = 0.07 * np.sin(x * (5 + 1.7 * number) + 2.1 * number)
        crest = base + swing + 0.022 * fractal(size, 4, 80 + number, octaves=4)
        depth = as_array(y - crest)
        inside = depth > 0
        slope = np.gradient(as_array(crest), axis=1) * size
        lean = np.arctan(slope) + (0.95 if number % 2 else -0.35) * smoothstep(depth, 0.0, 0.11)
        angle = np.where(inside, lean + 0.25 * wobble, angle)
        shade = 0.14 + 0.66 * smoothstep(depth, 0.0, 0.13) + 0.08 * wobble
        dark = np.where(inside, shade, dark)
        block = np.where(inside, (3, 1, 0, 3, 2, 1, 3)[number], block)
        dark = np.where(np.abs(depth) < 0.0035, 1.2, dark)
    return as_array(angle), as_array(dark), as_array(block)


def _carved(size: int, angle: Array, dark: Array) -> Array:
    """The key block's ink, in [0, 1]."""
    grain = noise(size, 240, 90) + 0.4 * noise(size, 100, 91)
    # Smearing, sharpening and smearing again joins the specks into long tapering lines.
    lines = smeared(grain, angle, 0.06)
    lines = as_array(np.tanh((equalised(lines) - 0.5) * 5))
    lines = smeared(lines, angle, 0.04)
    rank = equalised(lines) + 0.012 * noise(size, 300, 92)
    return smoothstep(as_array(np.clip(dark, 0.06, 0.80) + (dark > 1) - rank), -0.03, 0.05)


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1]."""
    angle, dark, block = _scene(size)
    picture, grain = paper(size, SHEET, 94, 0.05)
    worn = smoothstep(as_array(grain + 0.10 * fractal(size, 6, 95)), 0.0, 0.36)
    for number, colour in ((1, OCHRE), (2, RED), (3, TEAL)):
        # Each block was printed a little off its place.
        shift = round(0.003 * size) * (number - 2)
        printed = np.roll(blur(as_array(block == number), 0.0012), (shift, -shift), (0, 1))
        picture = mixed(picture, picture * colour * 1.05, as_array(printed * (0.55 + 0.4 * worn)))
    ink = _carved(size, angle, dark)
    return mixed(
        picture, np.broadcast_to(INK[0], picture.shape), as_array(ink * (0.86 + 0.14 * worn))
    )
