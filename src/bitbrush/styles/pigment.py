"""Colours, paint on a surface and light on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from .fields import Array, as_array, blur, fractal, noise, smoothstep


def palette(*names: str) -> Array:
    """Colours written as "rrggbb", as RGB [N, 3] in [0, 1]."""
    return as_array([[int(name[i : i + 2], 16) / 255 for i in (0, 2, 4)] for name in names])


def ramp(values: Array, colours: Array) -> Array:
    """RGB [..., 3] along a row of colours: 0 is the first one, 1 the last one."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(values, stops, colours[:, channel]) for channel in range(3)]
    return as_array(np.stack(channels, axis=-1))


def varied(colours: Array, amount: float, rng: np.random.Generator) -> Array:
    """Colours [N, 3], each made a little lighter or darker and a little different in hue."""
    count = len(colours)
    light = rng.normal(0, amount, (count, 1))
    hue = rng.normal(0, amount * 0.5, (count, 3))
    return as_array(np.clip(colours * (1 + light) + hue, 0, 1))


def mixed(under: Array, over: Array, cover: Array) -> Array:
    """`over` laid upon `under` with coverage [size, size] in [0, 1]."""
    cover = cover[..., None]
    return as_array(under * (1 - cover) + over * cover)


def saturated(picture: Array, factor: float) -> Array:
    """The picture with its distance from grey multiplied."""
    grey = picture.mean(axis=-1, keepdims=True)
    return as_array(np.clip(grey + (picture - grey) * factor, 0, 1))


def lit(picture: Array, height: Array, strength: float, angle: float = -2.2) -> Array:
    """The picture as a relief in raking light.

    Args:
        height: of the surface, [size, size], about [0, 1].
        strength: how much a slope of one height over a hundredth of the width changes.
        angle: where the light comes from, in radians; the default is the upper left.
    """
    size = height.shape[0]
    down, right = np.gradient(height)
    slope = (right * np.cos(angle) + down * np.sin(angle)) * size / 100
    shade = np.tanh(-slope * strength)[..., None]
    # Light adds towards white, shadow multiplies: paint has both sheen and depth.
    bright = picture + (1 - picture) * np.clip(shade, 0, 1) * 0.5
    return as_array(np.clip(bright * (1 + np.clip(shade, -1, 0) * 0.6), 0, 1))


def paper(size: int, colour: Array, seed: int, roughness: float = 0.05) -> tuple[Array, Array]:
    """A sheet of paper and its tooth.

    Returns:
        RGB [size, size, 3] and the grain [size, size] in [0, 1], 1 on its peaks.
    """
    fibre = noise(size, 420, seed) * 0.6 + noise(size, 210, seed + 1) + noise(size, 90, seed + 2)
    grain = smoothstep(fibre, -2.6, 2.6)
    tone = 1 + roughness * (grain - 0.5) * 2 + roughness * 0.35 * fractal(size, 3, seed + 3)
    return as_array(np.clip(colour * tone[..., None], 0, 1)), grain


def drawn(image: Image.Image) -> Array:
    """What Pillow drew, in [0, 1]: [H, W, 3] of an RGB image, [H, W] of an L image."""
    return as_array(as_array(image) / 255)


class Paint:
    """A surface on which strokes lay down colour and thickness at once.

    Attributes:
        colour: RGB image; height: the paint's thickness, an L image of the same size.
    """

    def __init__(self, ground: Array) -> None:
        """Args: ground: the picture [size, size, 3] to start on."""
        self.size = ground.shape[0]
        self.colour = Image.fromarray((ground * 255).astype(np.uint8))
        self.height = Image.new("L", (self.size, self.size), 60)
        self._pen = ImageDraw.Draw(self.colour)
        self._relief = ImageDraw.Draw(self.height)

    def strokes(
        self,
        paths: Array,
        colours: Array,
        widths: Array,
        rng: np.random.Generator,
        *,
        bristles: int = 7,
        variety: float = 0.10,
    ) -> None:
        """Lays strokes one upon the other, each a bundle of bristles with its own tone.

        Args:
            paths: [N, T, 2] in units of the square.
            colours: [N, 3]. widths: [N] in units of the square.
            bristles: lines in a stroke.
            variety: how much the bristles of a stroke differ.
        """
        count, points = paths.shape[:2]
        along = np.gradient(paths, axis=1)
        along /= np.linalg.norm(along, axis=2, keepdims=True) + 1e-9
        normal = np.stack([-along[..., 1], along[..., 0]], axis=-1)
        # A loaded brush is narrow where it lands and where it lifts.
        swell = 0.55 + 0.45 * np.sin(np.linspace(0.35, np.pi - 0.25, points))
        places = np.linspace(-0.5, 0.5, bristles)
        thickness = np.maximum(1, widths * self.size / bristles * 1.7)
        for stroke in range(count):
            tones = varied(np.repeat(colours[stroke : stroke + 1], bristles, 0), variety, rng)
            heights = rng.integers(70, 255, bristles)
            starts = rng.integers(0, max(1, points // 5), bristles)
            ends = points - rng.integers(0, max(1, points // 4), bristles)
            width = round(float(thickness[stroke]))
            for k in rng.permutation(bristles):
                offset = places[k] * widths[stroke] * swell[:, None] * normal[stroke]
                line = ((paths[stroke] + offset)[starts[k] : ends[k]] * self.size).ravel().tolist()
                self._pen.line(line, fill=_fill(tones[k]), width=width)
                # Paint gathers at the rim of the stroke.
                rim = 35 * abs(places[k]) * 2
                self._relief.line(line, fill=int(min(255, heights[k] * 0.8 + rim)), width=width)

    def finished(self, strength: float) -> Array:
        """The painting in raking light, RGB [size, size, 3]."""
        height = blur(drawn(self.height), 0.0012)
        return lit(drawn(self.colour), height, strength)


def _fill(colour: Array) -> tuple[int, int, int]:
    red, green, blue = (int(value * 255 + 0.5) for value in colour)
    return red, green, blue


def fills(colours: Array) -> list[tuple[int, int, int]]:
    """Colours [N, 3] as Pillow wants them."""
    return [_fill(colour) for colour in colours]


def chosen(colours: Array, shares: Sequence[float], count: int, rng: np.random.Generator) -> Array:
    """`count` colours drawn from a palette in given shares, [count, 3]."""
    weights = np.asarray(shares) / np.sum(shares)
    return colours[rng.choice(len(colours), count, p=weights)]


def polygon(
    pen: ImageDraw.ImageDraw, points: Iterable[Iterable[float]], size: int, fill: object
) -> None:
    """Fills a polygon given in units of the square."""
    flat = [float(value) * size for point in points for value in point]
    pen.polygon(flat, fill=fill)  # type: ignore[arg-type]
