"""How much memory a painting will take, before it starts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..quantizers import image_estimator
from .job import Job
from .scales import fitted
from .views import MARGIN

TRIAL = 64
"""Side in pixels of the trial picture whose saved maps are counted."""

SAVED = 1.25
"""Peak of a step over what its graph keeps: gradients and workspaces that live for a moment."""

PICTURES = 16
"""Copies of the picture besides the network's maps: canvas, gradient, two moments of the
optimiser, average, content, padded views and what resizing and writing need."""

LBFGS_PICTURES = 24
"""Further copies that L-BFGS keeps: ten pairs of differences, and a few vectors."""

PROCESS = 330e6
"""Bytes of a process that has loaded torch and everything else, before it paints."""


def saved_bytes(job: Job) -> float:
    """Bytes that the graph of one step keeps, for each pixel of the picture fed to the network.

    Measured by running the network once on a small picture.
    """
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    side = max(TRIAL, *(job.network.taps[tap].smallest for tap in job.taps()), 0)
    fixed = {p.untyped_storage().data_ptr() for p in job.network.parameters()}
    fixed |= {b.untyped_storage().data_ptr() for b in job.network.buffers()}
    picture = torch.zeros(1, 3, side, side, device=job.network.mean.device, requires_grad=True)
    with (
        image_estimator(None),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        features = job.network(picture, job.taps()) if job.taps() else {}
    own: int = sum(size for pointer, size in seen.items() if pointer not in fixed)
    # Each tap is also kept by its statistics, centred and scaled.
    taps: int = sum(3 * value.numel() * value.element_size() for value in features.values())
    return (own + taps) / side**2


def estimated_peak(job: Job, size: int | None = None) -> float:
    """Bytes of memory at the highest point of a painting.

    Args:
        size: long edge in pixels, instead of the job's own.
    """
    height, width = fitted(job.content.shape[-2], job.content.shape[-1], size or job.settings.size)
    scale = job.settings.encode_scale or 1.0
    border = 2 * MARGIN + job.settings.roll
    seen = (height + border) * (width + border) * scale**2
    copies = PICTURES + (LBFGS_PICTURES if job.settings.optimizer == "lbfgs" else 0)
    weights = sum(p.numel() * p.element_size() for p in job.network.parameters())
    sources = sum(source.numel() for source in (job.content, *job.styles)) * 4
    own = SAVED * saved_bytes(job) * seen + copies * 12 * height * width
    return PROCESS + weights + sources + own


def available_memory() -> float:
    """Bytes that this process may still take: what the machine or its control group has left."""
    limits = [_available_of_machine(), *_left_of_control_group()]
    return min(limits)


def _available_of_machine() -> float:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return float("inf")


def _left_of_control_group() -> list[float]:
    left = []
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        try:
            left.append(float(Path(limit).read_text()) - float(Path(used).read_text()))
        except (OSError, ValueError):
            continue  # no such group, or "max"
    return left


def check_memory(job: Job) -> None:
    """Makes sure that a painting on the CPU fits into the memory there is.

    Raises:
        InputError: it does not; the text names the largest size that would.
    """
    if job.network.mean.device.type != "cpu":
        return
    available, needed = available_memory() + PROCESS, estimated_peak(job)
    if needed <= available:
        return
    size = job.settings.size
    while size > 32 and estimated_peak(job, size) > available:
        size = int(size * 0.95)
    raise InputError(
        f"a painting of {job.settings.size} px would take about {needed / 1e9:.1f} GB of memory, "
        f"and {available / 1e9:.1f} GB are free; --size {size} would fit"
    )
