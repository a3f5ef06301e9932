"""What one painting needs to begin: pictures, network, settings, and the losses of each scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..errors import InputError, unknown_name
from ..images import resize
from ..networks.taps import Network
from ..quantizers import Estimator
from .colour import recoloured
from .footprint import Footprint
from .footprint import footprint as measured_footprint
from .losses import ColourTerm, SmoothnessTerm, StyleTerm, Term, roughness
from .palette import Palette
from .scales import Scale, fitted, plan_scales
from .settings import PaintSettings, parse_taps
from .statistics import Moments
from .target import StyleTarget
from .tiled import Surface, moments_in_tiles
from .tiles import Tile, plan
from .views import MARGIN, View

SMALL = 300_000
"""Pixels that the network may be fed in one piece whatever it is: not worth measuring."""

WHOLE = 2.5e9
"""Bytes that a step may take in one piece: what a machine of 4 GB has left for it. In tiles it
takes about twice the time."""

TILE = 0.9e9
"""Bytes that one tile may take. Smaller ones consist mostly of halo."""

LARGEST_TILE = 1.3e6
"""Pixels of a tile, however little each takes: larger ones have hardly less halo."""


@dataclass(frozen=True)
class Job:
    """A painting that is about to be made.

    Attributes:
        content: RGB [1, 3, H, W] in [0, 1], at its own size.
        styles: RGB of each style, at their own sizes.
        network: settled, on the device.
        settings: with every default resolved.
        init: RGB of the picture to begin with, where that is one; else None.
    """

    content: Tensor
    styles: Sequence[Tensor]
    network: Network
    settings: PaintSettings
    init: Tensor | None = None

    def __post_init__(self) -> None:
        weights, styles = self.settings.style_weights, self.styles
        if not styles:
            raise InputError("at least one style is needed")
        if weights and len(weights) != len(styles):
            raise InputError(f"{len(weights)} --style-weights for {len(styles)} styles")
        for tap in self.taps():
            if tap not in self.network.taps:
                maps = [name for name, known in self.network.taps.items() if known.stride]
                raise unknown_name(f"tap of {self.network.name}", tap, maps)
            if self.network.taps[tap].stride == 0:
                raise InputError(f"{tap} of {self.network.name} is no map that can be painted from")

    def taps(self) -> list[str]:
        """The taps that the losses look at, in the order of the network."""
        wanted = {**self.content_taps(), **self.style_taps()}
        known = [tap for tap in self.network.taps if tap in wanted]
        return known + [tap for tap in wanted if tap not in self.network.taps]

    def content_taps(self) -> dict[str, float]:
        """Weights of the content taps, adding up to 1."""
        return _shares(self.settings.content_taps)

    def style_taps(self) -> dict[str, float]:
        """Weights of the style taps, adding up to 1."""
        return _shares(self.settings.style_taps)

    @property
    def statistic(self) -> str:
        """What of a tap counts as style; any of them where no style is compared."""
        return self.settings.statistic or "covariance"

    @property
    def estimator(self) -> Estimator | None:
        """Of the gradient on its way to the picture; None: each layer's own."""
        name = self.settings.estimator
        if name in (None, "trained"):
            return None
        return Estimator(str(name), self.settings.estimator_width or 1.0)

    def style_shares(self) -> list[float]:
        """Weight of each style, adding up to 1."""
        weights = self.settings.style_weights or (1.0,) * len(self.styles)
        return [weight / sum(weights) for weight in weights]

    def shortest(self) -> int:
        """The shortest edge in pixels of a painting that every tap accepts."""
        smallest = max((self.network.taps[tap].smallest for tap in self.taps()), default=1)
        return math.ceil(smallest / (self.settings.encode_scale or 1.0))

    def scales(self) -> list[Scale]:
        """The sizes to paint at, coarse to fine.

        Raises:
            InputError: the last of them is too small for a tap, or a style is at that size.
        """
        s, needed = self.settings, self.shortest()
        height, width = self.content.shape[-2:]
        of_style = max((self.network.taps[tap].smallest for tap in self.style_taps()), default=1)
        plan = plan_scales(
            height,
            width,
            s.size,
            s.min_size,
            s.steps,
            needed,
            lambda edge: self._narrowest_style(edge) >= of_style,
        )
        last = plan[-1]
        if min(last.height, last.width) < needed:
            raise InputError(
                f"a painting of {last.width}x{last.height} px is too small for {s.network}, which "
                f"needs a short edge of {needed} px; choose a larger --size"
            )
        seen = self._narrowest_style(s.size)
        if seen < of_style:
            raise InputError(
                f"a style is too small or too narrow for {s.network}, which would see {seen} px of "
                f"its short edge and needs {of_style}; choose a larger --style-size, or less of "
                "the picture's long edge"
            )
        return plan

    def _narrowest_style(self, edge: int) -> int:
        """The shortest edge in pixels of what the network is fed of the styles, where the painting
        has that long edge."""
        view = self._view_of_style()
        return min(min(view.size(*self._size_of_style(style, edge))) for style in self.styles)

    def _size_of_style(self, style: Tensor, edge: int) -> tuple[int, int]:
        """Height and width of a style where the painting has that long edge."""
        long_edge = (self.settings.style_size or self.settings.size) * edge / self.settings.size
        height, width = fitted(style.shape[-2], style.shape[-1], round(long_edge))
        return max(height, MARGIN), max(width, MARGIN)

    def _view_of_style(self, orientation: int = 0) -> View:
        scale = self.settings.encode_scale or 1.0
        return View(MARGIN, MARGIN, 2 * MARGIN, scale, orientation)

    def tiles(self, height: int, width: int) -> list[Tile] | None:
        """How a picture is cut for the network, or None where it is looked at as a whole.

        Args:
            height, width: in pixels, of the picture that the network is fed.
        """
        taps = [self.network.taps[tap] for tap in self.taps()]
        # Sorting whole distributions cannot be done in parts.
        if not taps or self.statistic == "sliced-wasserstein":
            return None
        if any(tap.reach is None or tap.size is not None for tap in taps):
            return None
        pixels = height * width
        if pixels <= SMALL or pixels * self.footprint.step <= WHOLE:
            return None
        limit = min(LARGEST_TILE, TILE / self.footprint.step)
        return plan(height, width, taps, self.network.multiple, limit)

    @cached_property
    def footprint(self) -> Footprint:
        """What a pixel takes in memory."""
        return measured_footprint(self)

    def styles_at(self, scale: Scale) -> Iterator[Tensor]:
        """The styles at the size that belongs to a scale, recoloured where colours are kept."""
        recolour = self.settings.preserve_colours == "statistics"
        for style in self.styles:
            size = self._size_of_style(style, max(scale.height, scale.width))
            sized = resize(style, *size)
            yield recoloured(sized, self.content) if recolour else sized

    def style_terms(self, scale: Scale) -> list[list[Term]]:
        """The terms that stay the same through a scale: style, colour and smoothness.

        Returns:
            one list for each orientation in which the network sees the picture.
        """
        s = self.settings
        terms: list[list[Term]] = [[] for _ in range(s.orientations or 1)]
        smooth = 0.0
        device = self.network.mean.device
        for style, share in zip(self.styles_at(scale), self.style_shares(), strict=True):
            style = style.to(device)
            smooth += share * float(roughness(style))
            if share and s.colour_weight:
                colour = ColourTerm(s.colour_weight * share, Palette(style))
                for each in terms:
                    each.append(colour)
            if not (share and s.style_weight):
                continue
            for orientation, each in enumerate(terms):
                each.extend(self._of_style(style, orientation, s.style_weight * share))
        if s.tv_weight:
            for each in terms:
                each.append(SmoothnessTerm(s.tv_weight, smooth))
        return terms

    def _of_style(self, style: Tensor, orientation: int, weight: float) -> list[Term]:
        features = self._style_features(style, orientation)
        return [
            StyleTerm(tap, weight * share, StyleTarget(features[tap], self.statistic))
            for tap, share in self.style_taps().items()
        ]

    def _style_features(self, style: Tensor, orientation: int) -> Mapping[str, Tensor | Moments]:
        view = self._view_of_style(orientation)
        taps = self.style_taps()
        tiles = self.tiles(*view.size(*style.shape[-2:]))
        if tiles:
            return moments_in_tiles(self.network, Surface(style, view), taps, tiles)
        with torch.no_grad():
            features: dict[str, Tensor] = self.network(view(style), taps)
        return features


def _shares(taps: str | None) -> dict[str, float]:
    weights = parse_taps(taps) if taps else {}
    return {tap: weight / sum(weights.values()) for tap, weight in weights.items()}
