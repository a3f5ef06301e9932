"""Distances of a painting to its style and content, by a network that took no part in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import fmean

import torch
from torch import Tensor

from ..errors import InputError
from ..images import resize
from ..networks.taps import Network
from ..style.defaults import DEFAULTS
from ..style.scales import fitted
from ..style.settings import parse_taps
from ..style.statistics import Moments, channel_statistics
from ..weights.loading import load_network

SQUEEZENET = "squeezenet"
"""The usual judge. The default network is neither painted nor trained with it."""

TAPS: dict[str, tuple[tuple[str, ...], str]] = {
    SQUEEZENET: (
        ("stem", "stage1.block2", "stage2.block2", "stage3.block2", "stage3.block4"),
        "stage2.block2",
    )
}
"""Taps of style and of content, here torchvision's features.1, 4, 7, 10 and 12, and features.7: a
measure does not change with how its network paints. Other judges look at what they paint with."""

NOTHING = 1e-30
"""What distances are relative to where content and style, or a content's positions, are the same.
Features of any scale are squared, so it is small."""


@dataclass(frozen=True)
class Distances:
    """How far a painting is from what it is made of.

    Attributes:
        style: 0 is the style itself, 1 a painting as far from it as the content.
        content: 0 is the content itself; 1 about as far from it as a plain grey.
    """

    style: float
    content: float


class Judge:
    """A network to judge paintings by.

    Attributes:
        style_taps: maps whose mean and covariance are a picture's style.
        content_tap: the map that is its content.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        if network.name in TAPS:
            self.style_taps, self.content_tap = TAPS[network.name]
            return
        defaults = DEFAULTS.get(network.name)
        if defaults is None:
            raise InputError(f"{network.name} has no taps to judge by")
        self.style_taps = tuple(parse_taps(defaults.style_taps))
        self.content_tap = next(iter(parse_taps(defaults.content_taps)))

    @classmethod
    def load(cls, name: str = SQUEEZENET, device: str = "cpu") -> Judge:
        """The judge of this name, with its trained weights.

        Raises:
            InputError: there is no such network.
            NetworkMissingError: its weights are not on this machine.
        """
        return cls(load_network(name, device=device))

    def statistics(self, picture: Tensor) -> dict[str, Moments]:
        """Of each style tap."""
        features = self._features(picture, self.style_taps)
        return {tap: channel_statistics(value) for tap, value in features.items()}

    def content(self, picture: Tensor) -> Tensor:
        """The content tap's map."""
        return self._features(picture, (self.content_tap,))[self.content_tap]

    @torch.no_grad()
    def _features(self, picture: Tensor, taps: tuple[str, ...]) -> dict[str, Tensor]:
        return self.network(picture.to(self.network.mean.device), taps)  # type: ignore[no-any-return]


@cache
def judge_named(name: str, device: str = "cpu") -> Judge:
    """As `Judge.load`, once in a process."""
    return Judge.load(name, device)


class Case:
    """A pair of content and style, for paintings of one size.

    Args:
        judge: whose taps are compared.
        content, style: RGB [1, 3, H, W] in [0, 1], of any size.
        height, width: of the paintings in pixels.
    """

    def __init__(
        self, judge: Judge, content: Tensor, style: Tensor, height: int, width: int
    ) -> None:
        self.judge = judge
        self.content = resize(content, height, width)
        long_edge = max(height, width)
        self.style = resize(style, *fitted(style.shape[-2], style.shape[-1], long_edge))
        self._of_style = judge.statistics(self.style)
        of_content = judge.statistics(self.content)
        self._apart = {tap: _square(of_content[tap], self._of_style[tap]) for tap in of_content}
        self._map = judge.content(self.content)
        spread = self._map - self._map.mean((2, 3), keepdim=True)
        self._spread = float(spread.square().sum())

    def distances(self, painting: Tensor) -> Distances:
        """Of a painting [1, 3, height, width] in [0, 1].

        Style: the mean over taps of |S(r) - S(s)|² / |S(c) - S(s)|², where S is mean and
        covariance. Content: |F(r) - F(c)|² / |F(c) - mean F(c)|².

        Raises:
            InputError: it has another size.
        """
        if painting.shape[-2:] != self.content.shape[-2:]:
            raise InputError("a painting is judged at the size it was announced with")
        found = self.judge.statistics(painting)
        style = fmean(
            _square(found[tap], self._of_style[tap]) / max(self._apart[tap], NOTHING)
            for tap in found
        )
        difference = (self.judge.content(painting) - self._map).square().sum()
        return Distances(style, float(difference) / max(self._spread, NOTHING))


def _square(one: Moments, other: Moments) -> float:
    mean, matrix = one.mean - other.mean, one.matrix - other.matrix
    return float(mean.square().sum() + matrix.square().sum())
