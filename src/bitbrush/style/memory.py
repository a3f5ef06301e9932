"""How much memory a painting will take, before it starts."""

from __future__ import annotations

import math

from ..errors import InputError
from ..free_memory import available_memory
from .footprint import Footprint
from .job import Job
from .scales import fitted
from .settings import PaintSettings
from .views import MARGIN, View

PICTURES = 7
"""Copies of the picture that are there throughout a step: content, canvas, two moments of the
optimiser, average, gradient, and what the network is fed."""

SPARE = 3
"""Further copies that there are while the network is not at work: what blurring the gradient, the
optimiser's step, resizing and writing need."""

LBFGS_PICTURES = 72
"""Further copies with L-BFGS: ten pairs of differences and a few vectors, which there are three
times while a checkpoint is written."""

EARLY = 3
"""Copies of the picture before the first step, when styles are looked at."""

STYLE_PICTURES = 3
"""Copies of a style then."""

SEEN_PICTURES = 3
"""Copies of a style as it is fed to the network: resized, padded, normalised."""

PROCESS = 370e6
"""Bytes of a process that has loaded torch and everything else, before it paints."""

KERNELS = 45e6
"""Bytes more where kernels have been loaded, and LLVM, which loads them."""

PIXEL = 12
"""Bytes of a pixel: three floats."""

PRINT_PIXEL = 50
"""Bytes of a pixel while a picture is enlarged for print, finished and written: four pictures of
floats, and Pillow's."""


def estimated_peak(job: Job, size: int | None = None) -> float:
    """Bytes of memory at the highest point of a painting.

    Args:
        size: long edge in pixels, instead of the job's own.
    """
    return _peak(job, job.footprint, size or job.settings.size)


def _peak(job: Job, cost: Footprint, size: int) -> float:
    """As `estimated_peak`. A smaller scale may take more than one that is painted in tiles."""
    edges = [size]
    while edges[-1] / 2 >= job.settings.min_size:
        edges.append(round(edges[-1] / 2))
    return _throughout(job) + max(_scale(job, cost, edge, size) for edge in edges)


def _throughout(job: Job) -> float:
    """Bytes that there are from the beginning to the end."""
    weights = sum(p.numel() * p.element_size() for p in job.network.parameters())
    given = (job.content, *job.styles, *(() if job.init is None else (job.init,)))
    sources = sum(source.numel() for source in given) * 4
    process = PROCESS + (KERNELS if job.network.engine == "packed" else 0.0)
    return process + float(weights + sources)


def _scale(job: Job, cost: Footprint, edge: int, size: int) -> float:
    """Bytes that one scale takes, of a painting whose long edges are these at last."""
    settings = job.settings
    height, width = fitted(job.content.shape[-2], job.content.shape[-1], edge)
    copies = PICTURES + (LBFGS_PICTURES if settings.optimizer == "lbfgs" else 0)
    seen = _seen(height, width, settings, settings.roll or 0)
    step = cost.step * _at_once(job, *seen) + _scaled(job, *seen)
    pictures = PIXEL * height * width
    looking, kept = _styles(job, cost, edge, size)
    painting = copies * pictures + kept + max(step, SPARE * pictures)
    return max(painting, EARLY * pictures + looking)


def _styles(job: Job, cost: Footprint, edge: int, size: int) -> tuple[float, float]:
    """Bytes that styles take at most while the network looks at them one by one, without a graph,
    and of those what stays while it paints."""
    settings = job.settings
    style_size = settings.style_size or settings.size
    if style_size == settings.size:
        style_size = size
    long_edge = round(style_size * edge / size)
    most = kept = 0.0
    for style in job.styles:
        height, width = fitted(style.shape[-2], style.shape[-1], long_edge)
        seen = _seen(height, width, settings, 0)
        part = _at_once(job, *seen)
        looking = (cost.look + SEEN_PICTURES * PIXEL) * part
        most = max(most, kept + looking + STYLE_PICTURES * PIXEL * height * width)
        kept += cost.kept * (settings.orientations or 1) * math.prod(seen)
    return most, kept


def _seen(height: int, width: int, settings: PaintSettings, roll: int) -> tuple[int, int]:
    """Height and width that the network is fed."""
    view = View(MARGIN, MARGIN, 2 * MARGIN + roll, settings.encode_scale or 1.0)
    return view.size(height, width)


def _at_once(job: Job, height: int, width: int) -> int:
    """Pixels of such a picture that the network is fed at a time."""
    tiles = job.tiles(height, width)
    return max(tile.pixels for tile in tiles) if tiles else height * width


def _scaled(job: Job, height: int, width: int) -> float:
    """Bytes of what the network sees, where tiles are cut from a picture that was scaled."""
    if (job.settings.encode_scale or 1.0) == 1 or not job.tiles(height, width):
        return 0.0
    return SEEN_PICTURES * PIXEL * height * width


def check_memory(job: Job) -> None:
    """Makes sure that a painting on the CPU fits into the memory there is.

    Raises:
        InputError: it does not; the text names the largest size that would.
    """
    if job.network.mean.device.type != "cpu":
        return
    cost, available, wanted = job.footprint, available_memory(), job.settings.size
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


def check_print(job: Job, height: int, width: int) -> None:
    """Makes sure that a painting can be enlarged to this size in pixels, and written.

    Raises:
        InputError: there is not enough memory; the text names the long edge that would fit.
    """
    last = job.scales()[-1]
    beside = _throughout(job) + PICTURES * PIXEL * last.height * last.width
    wanted, available = PRINT_PIXEL * height * width, available_memory()
    if beside + wanted > available:
        share = math.sqrt(max(available - beside, 0) / wanted)
        raise InputError(
            f"a print of {width}x{height} px would take about {(beside + wanted) / 1e9:.1f} GB of "
            f"memory, and {available / 1e9:.1f} GB are free; {int(share * max(height, width))} "
            "pixels in the preset's print would fit"
        )
