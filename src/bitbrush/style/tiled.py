"""Statistics and gradients of a large picture, tile by tile, the same as those of the whole.

Style is a function of means and covariances. A first pass over the tiles, without a graph, gives
these of the whole picture, and the style terms the loss's gradients to them. With these fixed, the
gradient to each position of a map depends on nothing but the map there: a second pass takes it
from the maps to the picture, tile by tile. The content's error is a plain sum over positions and
belongs to the second pass, where each tile of the content is looked at anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import EllipsisType

import torch
from torch import Tensor

from ..engine.buffers import arena
from ..networks.handover import give_away
from ..networks.taps import Network
from .losses import (
    IMAGE,
    ContentTerm,
    StyleTerm,
    Term,
    content_variance,
    evaluate,
    grouped,
    summed,
)
from .statistics import Moments, channel_statistics, merged
from .tap_loss import Slopes, of_moments, write_slopes
from .tiles import Tile
from .views import View, noisy

Area = tuple[EllipsisType, slice, slice]
"""An index of a picture."""


class Surface:
    """What the network sees of a picture, to be had tile by tile.

    Attributes:
        picture: [1, 3, H, W] that the tiles are cut from: the picture itself or, where the view
            changes the scale, all that is seen.
    """

    def __init__(self, picture: Tensor, view: View) -> None:
        if view.scale != 1:
            picture, view = view(picture), View(0, 0, 0)
        self.picture = picture
        height, width = picture.shape[-2:]
        self._rows, self._columns = (
            index.to(picture.device) for index in view.sources(height, width)
        )

    def cut(self, tile: Tile) -> tuple[Area, Tensor, Tensor]:
        """The area of the picture that the tile shows, and which of its rows and columns."""
        rows = self._rows[tile.rows.seen()]
        columns = self._columns[tile.columns.seen()]
        top, left = int(rows.min()), int(columns.min())
        area = (..., slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
        return area, rows - top, columns - left

    def part(self, tile: Tile) -> Tensor:
        """What is seen of the tile, halo included: [1, 3, H', W']."""
        area, rows, columns = self.cut(tile)
        return self.picture[area].index_select(2, rows).index_select(3, columns)


@torch.no_grad()
def moments_in_tiles(
    network: Network, surface: Surface, taps: Collection[str], tiles: Sequence[Tile]
) -> dict[str, Moments]:
    """Mean and covariance of each tap's map of the whole picture."""
    parts: dict[str, list[Moments]] = {tap: [] for tap in taps}
    for tile in tiles:
        features = network(surface.part(tile), taps)
        for tap in taps:
            own = features[tap][tile.own(network.taps[tap].stride)]
            parts[tap].append(channel_statistics(own))
    return {tap: merged(found) for tap, found in parts.items()}


class TiledObjective:
    """The loss of a picture that is too large for the network's maps of the whole of it.

    Args:
        tiles: of what the network sees.
        terms: of style, colour and smoothness, for each orientation of a view.
        content: RGB [1, 3, H, W], at the size of the scale.
        content_weights: by tap; none where the content does not count.
        noise: spread of what is added to the picture that the network sees.
    """

    def __init__(
        self,
        network: Network,
        tiles: Sequence[Tile],
        terms: Sequence[Sequence[Term]],
        content: Tensor,
        content_weights: Mapping[str, float],
        noise: float = 0.0,
    ) -> None:
        self.network = network
        self.tiles = tiles
        self.image_terms = [term for term in terms[0] if term.tap == IMAGE]
        self.style_terms = [
            [term for term in each if isinstance(term, StyleTerm)] for each in terms
        ]
        self.content = content
        self.content_weights = content_weights
        self.noise = noise
        self.content_moments: dict[str, Moments] = {}
        self.view = View(0, 0, 0)

    def look(self, view: View) -> None:
        self.view = view
        self.content_moments = {}
        if self.content_weights:
            surface = Surface(self.content, view)
            self.content_moments = moments_in_tiles(
                self.network, surface, self.content_weights, self.tiles
            )
            arena.clear()

    def gradient(self, image: Tensor, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        shown = noisy(image.detach(), self.noise, random)
        # What looks at the picture itself comes first: its workspaces are gone before the tiles.
        gradient, parts = self._of_image_terms(image, random)
        gradients, of_style = self._of_style_terms(shown)
        leaf = shown.detach().requires_grad_(self.view.scale != 1)
        with torch.enable_grad():
            surface = Surface(leaf, self.view)
        onto = gradient if surface.picture is leaf else torch.zeros_like(surface.picture)
        of_content = self._add_gradient(onto, surface, gradients, random)
        # Nor are the tiles' maps there when blur and optimiser want their room.
        arena.clear()
        if surface.picture is not leaf:
            gradient += torch.autograd.grad(surface.picture, leaf, onto)[0]
        return gradient, of_style | parts | of_content

    def _of_image_terms(
        self, image: Tensor, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        if not self.image_terms:
            return torch.zeros_like(image), {}
        leaf = image.detach().requires_grad_(True)
        with torch.enable_grad():
            loss, parts = evaluate(self.image_terms, {IMAGE: leaf}, random)
            (gradient,) = torch.autograd.grad(loss, leaf)
        return gradient, parts

    def _of_style_terms(self, image: Tensor) -> tuple[dict[str, Slopes], dict[str, float]]:
        """The loss's gradients to the picture's moments, by tap, and its parts."""
        style_terms = self.style_terms[self.view.orientation]
        if not style_terms:
            return {}, {}
        taps = dict.fromkeys(term.tap for term in style_terms)
        moments = moments_in_tiles(self.network, Surface(image, self.view), taps, self.tiles)
        gradients, parts = {}, dict[str, float]()
        by_tap: dict[str, list[StyleTerm]] = grouped(style_terms)
        for tap, terms in by_tap.items():
            found, of_mean, of_matrix = of_moments(terms, moments[tap])
            gradients[tap] = Slopes(moments[tap], of_mean, of_matrix)
            summed(parts, found)
        return gradients, parts

    def _add_gradient(
        self,
        onto: Tensor,
        surface: Surface,
        gradients: Mapping[str, Slopes],
        random: torch.Generator,
    ) -> dict[str, float]:
        """Adds the gradient to the surface's picture, and returns the content's parts."""
        taps = dict.fromkeys([*gradients, *self.content_weights])
        content = Surface(self.content, self.view)
        parts: dict[str, float] = {}
        network, half = self.network, self.network.precision != "float32"
        for tile in self.tiles:
            terms = self._content_terms(content, tile)
            area, rows, columns = surface.cut(tile)
            leaf = surface.picture[area].detach().requires_grad_(True)
            with torch.enable_grad():
                seen = leaf.index_select(2, rows).index_select(3, columns)
                features = network(seen, taps)
            slopes = {}
            for tap, value in features.items():
                own = tile.own(network.taps[tap].stride)
                values, contents = value.detach(), []
                if tap in terms:
                    contents.append(terms.pop(tap))
                    _, found = evaluate(contents, {tap: values[own]}, random)
                    summed(parts, found)
                result = torch.empty_like(values) if network.keeps_taps else give_away(values)
                write_slopes(result, values, gradients.get(tap), contents, half, own)
                slopes[tap] = result
            (own_gradient,) = torch.autograd.grad(
                list(features.values()), leaf, list(slopes.values())
            )
            onto[area] += own_gradient
        return parts

    @torch.no_grad()
    def _content_terms(self, content: Surface, tile: Tile) -> dict[str, ContentTerm]:
        """What a tile adds to the content's terms, by tap."""
        if not self.content_weights:
            return {}
        features = self.network(content.part(tile), self.content_weights)
        terms = {}
        for tap, weight in self.content_weights.items():
            target = features[tap][tile.own(self.network.taps[tap].stride)].float()
            moments = self.content_moments[tap]
            # A term is a mean over positions, the tile's own of all.
            share = target.shape[-2] * target.shape[-1] / moments.count
            terms[tap] = ContentTerm(tap, weight * share, target, content_variance(moments))
        return terms
