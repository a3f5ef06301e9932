"""The whole loss at one scale: its parts, and its gradient to the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..allocator import return_freed_memory, trim
from ..engine.buffers import arena
from ..networks.taps import Network
from .job import Job
from .losses import IMAGE, ContentTerm, Term, evaluate, grouped, summed
from .scales import Scale
from .settings import PaintSettings
from .tap_loss import tap_loss
from .tiled import TiledObjective
from .views import MARGIN, View, noisy, random_view


class Objective(Protocol):
    """What a painting of one scale is measured by."""

    view: View

    def look(self, view: View) -> None:
        """Has the network see picture and content through this view from now on."""

    def gradient(self, image: Tensor, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss's gradient [1, 3, H, W] to a picture, and what each name contributes to it.

        Args:
            image: RGB [1, 3, H, W].
            random: source of what statistics draw.
        """


class WholeObjective:
    """The loss of a picture that the network is fed in one piece.

    Args:
        taps: all that the terms look at.
        terms: of style, colour and smoothness, for each orientation of a view.
        content: RGB [1, 3, H, W], at the size of the scale.
        content_weights: by tap; none where the content does not count.
        noise: spread of what is added to the picture that the network sees.
    """

    def __init__(
        self,
        network: Network,
        taps: Sequence[str],
        terms: Sequence[Sequence[Term]],
        content: Tensor,
        content_weights: Mapping[str, float],
        noise: float = 0.0,
    ) -> None:
        self.network = network
        self.taps = taps
        self.terms = terms
        self.content = content
        self.content_weights = content_weights
        self.noise = noise
        self.content_terms: list[Term] = []
        self.view = View(0, 0, 0)

    def look(self, view: View) -> None:
        self.view = view
        if not self.content_weights:
            return
        self.content_terms = []  # frees the last view's features before there are new ones
        with torch.no_grad():
            features = self.network(view(self.content), self.content_weights)
        self.content_terms = [
            ContentTerm.of(tap, weight, features[tap])
            for tap, weight in self.content_weights.items()
        ]

    def gradient(self, image: Tensor, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        leaf = image.detach().requires_grad_(True)
        by_tap = grouped([*self.terms[self.view.orientation], *self.content_terms])
        parts: dict[str, float] = {}
        with torch.enable_grad():
            losses = []
            if self.taps:
                features = self.network(self.view(noisy(leaf, self.noise, random)), self.taps)
                overwrite = not self.network.keeps_taps
                half = self.network.precision != "float32"
                for tap in list(features):
                    # Popped, so that a map is gone as soon as its gradient has been used.
                    value, terms = features.pop(tap), by_tap.pop(tap)
                    losses.append(
                        tap_loss(value, terms, random, parts, overwrite=overwrite, half=half)
                    )
                del value
            if IMAGE in by_tap:
                loss, found = evaluate(by_tap[IMAGE], {IMAGE: leaf}, random)
                losses.append(loss)
                summed(parts, found)
            (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), leaf)
        return gradient, parts


def make_objective(job: Job, scale: Scale, content: Tensor) -> Objective:
    """The loss of a painting at one scale, in tiles where the picture is large.

    Args:
        content: RGB [1, 3, H, W], at the size of the scale, on the device.
    """
    settings = job.settings
    # Every view of a scale shows the same size.
    view = View(MARGIN, MARGIN, 2 * MARGIN + (settings.roll or 0), settings.encode_scale or 1.0)
    tiles = job.tiles(*view.size(scale.height, scale.width))
    # Maps of another size have been here before.
    arena.clear()
    if tiles:
        return_freed_memory()
    else:
        trim()
    terms = job.style_terms(scale)
    weights = {tap: settings.content_weight * share for tap, share in job.content_taps().items()}
    noise = settings.noise or 0.0
    if tiles:
        return TiledObjective(job.network, tiles, terms, content, weights, noise)
    return WholeObjective(job.network, job.taps(), terms, content, weights, noise)


def drawn_view(settings: PaintSettings, random: torch.Generator, turn: int) -> View:
    """How the network is to see the picture next.

    Args:
        turn: number of the view, from 0 on.
    """
    roll, scale = settings.roll or 0, settings.encode_scale or 1.0
    return random_view(roll, scale, random, turn, settings.orientations or 1)
