"""What a network and the losses keep in memory for each pixel, measured on two small pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..quantizers import image_estimator
from .losses import ContentTerm, StyleTerm, Term, evaluate
from .statistics import PROJECTIONS
from .target import StyleTarget

if TYPE_CHECKING:
    from .job import Job

TRIALS = (64, 128)
"""Sides in pixels of two trial pictures whose saved maps are counted. The difference is free of
what does not grow with the picture, such as covariances."""

SAVED = 1.25
"""Peak of a step over what its graph keeps: gradients and workspaces that live for a moment."""

TAPS = 2
"""Copies of the taps besides: their gradients, and the content's and styles' own."""


@dataclass(frozen=True)
class Footprint:
    """Bytes for each pixel of the picture that the network is fed.

    Attributes:
        saved: kept by the graph of one step.
        taps: of the taps' values.
        largest: of the largest single map.
        moment: that the statistic needs for a moment besides.
    """

    saved: float
    taps: float
    largest: float
    moment: float

    @property
    def step(self) -> float:
        """At the highest point of a step."""
        return SAVED * self.saved + TAPS * self.taps + self.moment


def footprint(job: Job) -> Footprint:
    """Measured by running network and losses once on each of two small pictures."""
    smallest = max((job.network.taps[tap].smallest for tap in job.taps()), default=1)
    sides = [max(side, side // TRIALS[0] * smallest) for side in TRIALS]
    small, large = (_trial(job, side) for side in sides)
    pixels = sides[1] ** 2 - sides[0] ** 2
    costs = zip(dataclasses.astuple(large), dataclasses.astuple(small), strict=True)
    return Footprint(*((more - less) / pixels for more, less in costs))


def _trial(job: Job, side: int) -> Footprint:
    """The same in bytes, for a picture of side x side pixels."""
    seen: dict[int, int] = {}
    maps: set[int] = set()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        if tensor.dim() == 4:
            maps.add(storage.data_ptr())
        return tensor

    settings, network = job.settings, job.network
    fixed = {p.untyped_storage().data_ptr() for p in [*network.parameters(), *network.buffers()]}
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, side, side, generator=random).to(network.mean.device)
    with (
        image_estimator(None),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        picture.requires_grad_(True)
        features = network(picture, job.taps()) if job.taps() else {}
        terms: list[Term] = [
            ContentTerm.of(tap, 1.0, features[tap].detach()) for tap in job.content_taps()
        ]
        for tap in job.style_taps():
            terms.append(StyleTerm(tap, 1.0, StyleTarget(features[tap], settings.statistic)))
        if terms:
            evaluate(terms, features, random)
    own = {pointer: size for pointer, size in seen.items() if pointer not in fixed}
    positions = max((value[0, 0].numel() for value in features.values()), default=0)
    # Projections and their sorting, of this picture and of the style.
    sliced = settings.statistic == "sliced-wasserstein" and bool(job.style_taps())
    return Footprint(
        saved=sum(own.values()),
        taps=sum(value.numel() * 4 for value in features.values()),
        largest=max((own[pointer] for pointer in maps & own.keys()), default=0),
        moment=3 * PROJECTIONS * 4 * positions if sliced else 0.0,
    )
