"""How much memory a painting will take, before it starts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..quantizers import image_estimator
from .job import Job
from .losses import ContentTerm, StyleTerm, Term, evaluate
from .scales import fitted
from .settings import PaintSettings
from .statistics import PROJECTIONS, StyleTarget
from .views import MARGIN

TRIALS = (64, 128)
"""Sides in pixels of two trial pictures whose saved maps are counted. The difference is free of
what does not grow with the picture, such as covariances."""

SAVED = 1.25
"""Peak of a step over what its graph keeps: gradients and workspaces that live for a moment."""

TAPS = 2
"""Copies of the taps besides: their gradients, and the content's and styles' own."""

PICTURES = 16
"""Copies of the picture besides the network's maps: canvas, gradient, two moments of the
optimiser, average, content, padded views and what resizing and writing need."""

LBFGS_PICTURES = 24
"""Further copies that L-BFGS keeps: ten pairs of differences, and a few vectors."""

SEEN_PICTURES = 3
"""Copies of a style as it is fed to the network: resized, padded, normalised."""

PROCESS = 370e6
"""Bytes of a process that has loaded torch and everything else, before it paints."""

PIXEL = 12
"""Bytes of a pixel: three floats."""


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


def estimated_peak(job: Job, size: int | None = None) -> float:
    """Bytes of memory at the highest point of a painting.

    Args:
        size: long edge in pixels, instead of the job's own.
    """
    return _peak(job, footprint(job), size or job.settings.size)


def _peak(job: Job, cost: Footprint, size: int) -> float:
    settings = job.settings
    height, width = fitted(job.content.shape[-2], job.content.shape[-1], size)
    copies = PICTURES + (LBFGS_PICTURES if settings.optimizer == "lbfgs" else 0)
    seen = _seen(height, width, settings, settings.roll)
    step = (SAVED * cost.saved + TAPS * cost.taps + cost.moment) * seen
    weights = sum(p.numel() * p.element_size() for p in job.network.parameters())
    sources = sum(source.numel() for source in (job.content, *job.styles)) * 4
    always = PROCESS + weights + sources + copies * PIXEL * height * width
    return always + max(step, _styles(job, cost, size))


def _styles(job: Job, cost: Footprint, size: int) -> float:
    """Bytes that the largest style takes while the network looks at it, without a graph."""
    settings = job.settings
    style_size = settings.style_size or settings.size
    if style_size == settings.size:
        style_size = size
    each = cost.taps + 2 * cost.largest + SEEN_PICTURES * PIXEL
    return max(
        each * _seen(*fitted(style.shape[-2], style.shape[-1], style_size), settings, 0)
        for style in job.styles
    )


def _seen(height: int, width: int, settings: PaintSettings, roll: int) -> float:
    """Pixels that the network is fed."""
    border = 2 * MARGIN + roll
    return (height + border) * (width + border) * (settings.encode_scale or 1.0) ** 2


def available_memory() -> float:
    """Bytes that this process may have in all, with what it has already.

    The smaller of what the machine has available and the limits of the control groups.
    """
    free = _field("/proc/meminfo", "MemAvailable", math.inf)
    return min(free + _field("/proc/self/status", "RssAnon", 0), *_limits_of_control_groups())


def _field(file: str, name: str, missing: float) -> float:
    """Bytes in a file of lines such as "MemAvailable: 12 kB"."""
    try:
        for line in Path(file).read_text().splitlines():
            if line.startswith(f"{name}:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return missing


def _limits_of_control_groups() -> list[float]:
    """Of the process's own group and of those above it; of both versions of control groups."""
    root = Path("/sys/fs/cgroup")
    files = [root / "memory.max", root / "memory" / "memory.limit_in_bytes"]
    try:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers in ("", "memory"):
                base, leaf = (
                    (root / "memory", "memory.limit_in_bytes")
                    if controllers
                    else (root, "memory.max")
                )
                group = base / name.lstrip("/")
                above = [group, *group.parents]
                files += [folder / leaf for folder in above if base in folder.parents]
    except (OSError, ValueError):
        pass
    limits = [math.inf]
    for file in files:
        try:
            limits.append(float(file.read_text()))
        except (OSError, ValueError):
            continue  # no such group, or "max"
    return limits


def check_memory(job: Job) -> None:
    """Makes sure that a painting on the CPU fits into the memory there is.

    Raises:
        InputError: it does not; the text names the largest size that would.
    """
    if job.network.mean.device.type != "cpu":
        return
    cost, available, wanted = footprint(job), available_memory(), job.settings.size
    needed = _peak(job, cost, wanted)
    if needed <= available:
        return
    low, high = 0, wanted  # the largest size that fits lies between
    while high - low > 1:
        middle = (low + high) // 2
        fits = _peak(job, cost, middle) <= available
        low, high = (middle, high) if fits else (low, middle)
    short = min(fitted(job.content.shape[-2], job.content.shape[-1], max(low, 1)))
    way = f"--size {low} would fit" if short >= job.shortest() else "no size would fit"
    raise InputError(
        f"a painting of {wanted} px would take about {needed / 1e9:.1f} GB of memory, "
        f"and {available / 1e9:.1f} GB are free; {way}"
    )
