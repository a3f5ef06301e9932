"""Paper marbled by floating inks that were dropped, raked and combed."""

from __future__ import annotations

import numpy as np

from .fields import Array, as_array, blur, fractal, grid, noise, smoothstep
from .pigment import chosen, palette, paper

INKS = palette("173b57", "b5342b", "e7c36a", "f2e8d2", "2f7d78", "1a1a24", "d98243", "8fb7bd")
SHARES = (5, 4, 3, 4, 3, 2, 2, 2)
DROPS = 200


def _raked(x: Array, y: Array, angle: float, spacing: float, pull: float, offset: float) -> None:
    """Undoes, in place, a rake of many teeth drawn through the bath."""
    across = np.cos(angle) * y - np.sin(angle) * x
    # Teeth pull the ink next to them along; alternate teeth may have come from either side.
    tooth = np.abs((across + offset) / spacing % 1.0 - 0.5)
    shift = pull * 0.02 / (0.02 + tooth * 0.35)
    x -= as_array(shift * np.cos(angle))
    y -= as_array(shift * np.sin(angle))


def _whirled(x: Array, y: Array, cx: float, cy: float, strength: float, reach: float) -> None:
    """Undoes, in place, a stylus turned in the bath."""
    dx, dy = x - cx, y - cy
    turn = strength * np.exp(-np.sqrt(dx * dx + dy * dy) / reach)
    x[:] = cx + dx * np.cos(turn) + dy * np.sin(turn)
    y[:] = cy + dy * np.cos(turn) - dx * np.sin(turn)


def paint(size: int) -> Array:
    """RGB [size, size, 3] in [0, 1].

    Every pixel is followed back in time to the drop of ink that it came from.
    Source: Lu, Jaffer et al. 2012, "Mathematical marbling", the drop and the tine line.
    """
    rng = np.random.default_rng(1595)
    x, y = grid(size)
    x += 0.004 * fractal(size, 8, 61, octaves=3)
    y += 0.004 * fractal(size, 8, 63, octaves=3)
    for cx, cy, strength, reach in (
        (0.28, 0.30, 2.6, 0.10),
        (0.74, 0.24, -2.4, 0.09),
        (0.55, 0.66, 2.8, 0.11),
        (0.15, 0.80, -2.2, 0.09),
        (0.90, 0.82, 2.0, 0.08),
    ):
        _whirled(x, y, cx, cy, strength, reach)
    _raked(x, y, np.pi / 2 + 0.04, 0.085, 0.10, 0.013)
    _raked(x, y, np.pi / 2 + 0.04, 0.085, -0.07, 0.055)
    _raked(x, y, 0.06, 0.17, 0.14, 0.0)
    _raked(x, y, 0.06, 0.17, -0.14, 0.085)

    picture, grain = paper(size, palette("efe6d2")[0], 65, 0.04)
    colours = chosen(INKS, SHARES, DROPS, rng)
    # Drops fall in threes at a place, so that they lie in rings.
    places = rng.uniform(-0.2, 1.2, (DROPS // 3 + 1, 2))
    centres = np.repeat(places, 3, axis=0)[:DROPS] + rng.normal(0, 0.006, (DROPS, 2))
    radii = rng.uniform(0.03, 0.105, DROPS)
    found = np.full((size, size), -1, dtype=np.int32)
    rim = np.zeros((size, size), dtype=np.float32)
    for drop in range(DROPS - 1, -1, -1):
        cx, cy = centres[drop]
        square = as_array((x - cx) ** 2 + (y - cy) ** 2)
        ratio = square / radii[drop] ** 2
        inside = (ratio < 1) & (found < 0)
        found[inside] = drop
        rim[inside] = ratio[inside]
        # What was outside this drop had been pushed away by it.
        back = np.sqrt(np.clip(1 - 1 / np.maximum(ratio, 1.0001), 0, 1))
        x, y = as_array(cx + (x - cx) * back), as_array(cy + (y - cy) * back)
    ink = colours[np.maximum(found, 0)]
    ink = np.where((found < 0)[..., None], INKS[0], ink)
    ink = blur(as_array(ink), 0.0007)
    # Ink thins towards the rim of its drop, and flecks of ox gall open in it.
    flecks = smoothstep(as_array(noise(size, 170, 67) + 0.5 * noise(size, 60, 68)), 2.3, 2.7)
    load = 0.93 - 0.16 * rim + 0.05 * fractal(size, 30, 69) - 0.4 * flecks
    load = np.clip(load - 0.10 * (1 - grain), 0, 1)[..., None]
    return as_array(np.clip(picture * (1 - load) + ink * load, 0, 1))
