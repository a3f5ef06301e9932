"""What a network and the losses keep in memory for each pixel, measured on two small pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..engine.buffers import arena
from ..engine.notes import plainly
from ..networks.registry import NETWORKS
from ..networks.taps import Network
from ..quantizers import image_estimator
from .losses import ContentTerm, StyleTerm, Term
from .statistics import PROJECTIONS
from .tap_loss import tap_loss
from .target import StyleTarget

if TYPE_CHECKING:
    from .job import Job

TRIALS, PACKED_TRIALS = (64, 128), (192, 384)
"""Sides in pixels of two trial pictures whose maps are counted. The difference is free of what does
not grow with the picture, such as covariances. Of the packed engine only larger maps can be seen.
"""

SAVED = 1.25
"""Peak of a step over what torch's graph keeps: gradients and workspaces that live for a moment."""

GAPS = 1.2
"""Memory of the packed engine's arena over what is lent of it at a time."""

UNSEEN = 1.7
"""What a packed network takes over what is seen of it, where torch's graph runs through it: its
functions keep bits and pass on maps of their own, which torch does not tell of."""

TAPS = 2
"""Copies of the taps besides: their gradients, and the content's and styles' own."""


@dataclass(frozen=True)
class Footprint:
    """Bytes for each pixel of the picture that the network is fed.

    Attributes:
        step: at the highest point of a step.
        look: the same without a gradient.
        kept: of a style, what stays to the end where its distributions are kept whole.
    """

    step: float
    look: float
    kept: float


_known: dict[object, Footprint] = {}
"""What was measured in this process: a laboratory paints with one network many times."""


def footprint(job: Job) -> Footprint:
    """Measured by running network and losses once on each of two small pictures."""
    network = job.network
    held = (*network.named_parameters(), *network.named_buffers())
    shapes = tuple((name, tuple(value.shape)) for name, value in held)
    taps = (tuple(job.content_taps()), tuple(job.style_taps()), tuple(job.taps()))
    kind = (network.engine, network.precision, job.settings.pooling, str(network.mean.device))
    key = (network.name, shapes, kind, taps, job.statistic, job.estimator)
    if network.name not in NETWORKS:
        return _measured(job)  # a user's own, of which shapes do not tell everything
    if key not in _known:
        _known[key] = _measured(job)
    return _known[key]


def _measured(job: Job) -> Footprint:
    # A stride more than the smallest, for two positions at least, which statistics need.
    known = [job.network.taps[tap] for tap in job.taps()]
    smallest = max((tap.smallest + tap.stride for tap in known), default=1)
    trials = PACKED_TRIALS if job.network.engine == "packed" else TRIALS
    sides = [max(side, side // trials[0] * smallest) for side in trials]
    _trial(job, sides[0])  # of what is made once, such as filters for the way back
    small, large = (_trial(job, side) for side in sides)
    pixels = sides[1] ** 2 - sides[0] ** 2
    costs = zip(dataclasses.astuple(large), dataclasses.astuple(small), strict=True)
    return Footprint(*((more - less) / pixels for more, less in costs))


def _trial(job: Job, side: int) -> Footprint:
    """The same in bytes, for a picture of side x side pixels."""
    network, statistic = job.network, job.statistic
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, side, side, generator=random).to(network.mean.device)
    with torch.no_grad(), _Counter(network) as looking:
        features = network(picture, job.taps()) if job.taps() else {}
    terms: dict[str, list[Term]] = {tap: [] for tap in features}
    for tap in job.content_taps():
        terms[tap].append(ContentTerm.of(tap, 1.0, features[tap]))
    for tap in job.style_taps():
        terms[tap].append(StyleTerm(tap, 1.0, StyleTarget(features[tap], statistic)))
    taps = sum(value.numel() * 4 for value in features.values())
    # Where gradients take the place of maps, the content's own are all there is besides.
    content = sum(features[tap].numel() * 4 for tap in job.content_taps())
    copies = TAPS * taps if network.keeps_taps else content
    positions = max((value[0, 0].numel() for value in features.values()), default=0)
    largest = max((value.numel() * 4 for value in features.values()), default=0)
    sliced = statistic == "sliced-wasserstein"
    kept = sum(features[tap].numel() * 4 for tap in job.style_taps()) if sliced else 0.0
    features.clear()
    picture.requires_grad_(True)
    with image_estimator(job.estimator), _Counter(network) as painting:
        features = network(picture, list(terms)) if terms else {}
        overwrite = not network.keeps_taps
        losses = [
            tap_loss(features.pop(tap), own, random, {}, overwrite=overwrite)
            for tap, own in terms.items()
        ]
        if losses:
            torch.autograd.grad(torch.stack(losses).sum(), picture)
    # Projections of this picture and of the style, their bins and how far they move.
    moment = 3 * PROJECTIONS * 4 * positions if kept else 0.0
    largest = max(painting.largest, largest)
    unseen = UNSEEN if network.engine == "packed" and network.keeps_taps else 1.0
    return Footprint(
        step=unseen * (SAVED * painting.saved + GAPS * painting.lent + copies) + moment,
        look=max(taps + 2 * largest, GAPS * looking.lent),
        kept=kept,
    )


class _Counter:
    """Counts what a network keeps and takes in the meantime.

    Attributes:
        saved: bytes that torch's graph keeps.
        largest: of these, those of the largest map.
        lent: bytes of the packed engine's arena, at the most.
    """

    def __init__(self, network: Network) -> None:
        self.saved = self.largest = self.lent = 0
        self._fixed = {
            value.untyped_storage().data_ptr()
            for value in [*network.parameters(), *network.buffers()]
        }
        self._hooks = saved_tensors_hooks(self._keep, lambda tensor: tensor)
        self._plainly = plainly()

    def __enter__(self) -> _Counter:
        self._plainly.__enter__()
        self._before = arena.lent
        arena.most = arena.lent
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)
        self._plainly.__exit__(None, None, None)
        self.lent = arena.most - self._before

    def _keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._fixed and not arena.holds(tensor):
            self._fixed.add(storage.data_ptr())
            self.saved += storage.nbytes()
            if tensor.dim() == 4:
                self.largest = max(self.largest, storage.nbytes())
        return tensor
