"""What one painting needs to begin: pictures, network, settings, and the losses of each scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError, unknown_name
from ..images import resize
from ..networks.taps import Network
from .colour import recoloured
from .losses import ColourTerm, ContentTerm, SmoothnessTerm, StyleTerm, Term, roughness
from .palette import Palette
from .scales import Scale, fitted, plan_scales
from .settings import PaintSettings, parse_taps
from .statistics import StyleTarget
from .views import MARGIN, View


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
            InputError: the last of them is too small for a tap.
        """
        s, needed = self.settings, self.shortest()
        height, width = self.content.shape[-2:]
        plan = plan_scales(height, width, s.size, s.min_size, s.steps, needed)
        last = plan[-1]
        if min(last.height, last.width) < needed:
            raise InputError(
                f"a painting of {last.width}x{last.height} px is too small for {s.network}, which "
                f"needs a short edge of {needed} px; choose a larger --size"
            )
        return plan

    def styles_at(self, scale: Scale) -> list[Tensor]:
        """The styles at the size that belongs to a scale, recoloured where colours are kept."""
        s = self.settings
        long_edge = (s.style_size or s.size) * max(scale.height, scale.width) / s.size
        sized = []
        for style in self.styles:
            height, width = fitted(style.shape[-2], style.shape[-1], round(long_edge))
            sized.append(resize(style, max(height, MARGIN), max(width, MARGIN)))
        if s.preserve_colours == "statistics":
            sized = [recoloured(style, self.content) for style in sized]
        return sized

    def style_terms(self, scale: Scale) -> list[Term]:
        """The terms that stay the same through a scale: style, colour and smoothness."""
        s = self.settings
        terms: list[Term] = []
        smooth = 0.0
        device = self.network.mean.device
        view = View(MARGIN, MARGIN, 2 * MARGIN, s.encode_scale or 1.0)
        for style, share in zip(self.styles_at(scale), self.style_shares(), strict=True):
            style = style.to(device)
            smooth += share * float(roughness(style))
            if share and s.colour_weight:
                terms.append(ColourTerm(s.colour_weight * share, Palette(style)))
            if not (share and s.style_weight):
                continue
            with torch.no_grad():
                features = self.network(view(style), self.style_taps())
            for tap, weight in self.style_taps().items():
                target = StyleTarget(features[tap], s.statistic)
                terms.append(StyleTerm(tap, s.style_weight * weight * share, target))
        if s.tv_weight:
            terms.append(SmoothnessTerm(s.tv_weight, smooth))
        return terms

    def content_terms(self, content: Tensor, view: View) -> list[Term]:
        """The content's terms as seen through a view.

        Args:
            content: at the size of the scale, on the device.
        """
        if not self.settings.content_weight:
            return []
        with torch.no_grad():
            features = self.network(view(content), self.content_taps())
        return [
            ContentTerm.of(tap, self.settings.content_weight * weight, features[tap])
            for tap, weight in self.content_taps().items()
        ]


def _shares(taps: str | None) -> dict[str, float]:
    weights = parse_taps(taps) if taps else {}
    return {tap: weight / sum(weights.values()) for tap, weight in weights.items()}
