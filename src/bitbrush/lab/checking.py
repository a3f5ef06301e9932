"""Whether a plan can be carried out, found out before anything of it is painted.

A picture that cannot be read would else end a laboratory in the middle of the night.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..free_memory import available_memory
from ..networks.taps import Network
from ..style.defaults import resolved
from ..style.job import Job
from ..style.memory import estimated_peak
from ..style.paint import Session
from ..style.scales import fitted
from ..style.sources import as_picture, as_style
from .judge import Judge
from .plan import Cell

Size = tuple[int, int]
"""Height and width of a picture in pixels."""


def check_plan(
    cells: Sequence[Cell],
    workers: int,
    judge: Judge | None,
    look: Callable[[str], None] = lambda name: None,
) -> None:
    """Makes sure that all cells can be painted, so many at a time, and judged.

    Args:
        cells: that are to be painted.
        workers: processes of this machine that paint at a time.
        judge: of the paintings; None: nobody.
        look: told the name of each picture before it is looked at.
    Raises:
        InputError: a picture cannot be read, a painting would be too small for its network or for
            the judge, a setting is no good, or there is not enough memory.
    """
    contents: dict[Path, Size] = {}
    styles: dict[str, Size] = {}
    for cell in cells:
        content, style, size = cell.sources.content, cell.sources.style, cell.full_settings().size
        if content not in contents:
            look(content.name)
            contents[content] = _size(as_picture(content).rgb)
        if style not in styles:
            look(Path(style).name)
            styles[style] = _size(as_style(style, size).rgb)
        if judge is not None:
            _check_judged(judge, content.name, fitted(*contents[content], size))
            _check_judged(judge, Path(style).name, fitted(*styles[style], size))
    for own in _by_network(cells):
        first = own[0]
        # Loads the network, and looks at the memory.
        session = Session(first.sources.content, [first.sources.style], first.full_settings())
        _check_memory(session.job, min(workers, len(cells)))
        for cell in own:
            sizes = contents[cell.sources.content], styles[cell.sources.style]
            _check_scales(cell, session.job.network, *sizes)


def _size(picture: Tensor) -> Size:
    height, width = picture.shape[-2:]
    return height, width


def _by_network(cells: Sequence[Cell]) -> list[list[Cell]]:
    found: dict[Any, list[Cell]] = {}
    for cell in cells:
        settings = cell.settings
        found.setdefault((settings["network"], settings.get("weights")), []).append(cell)
    return list(found.values())


def _check_judged(judge: Judge, name: str, size: Size) -> None:
    needed = max(judge.network.taps[tap].smallest for tap in (*judge.style_taps, judge.content_tap))
    height, width = size
    if min(size) < needed:
        raise InputError(
            f"{name} at {width}x{height} px is too small for the judge {judge.network.name}, which "
            f"needs a short edge of {needed} px; choose a larger --size, or --judge none"
        )


def _check_scales(cell: Cell, network: Network, content: Size, style: Size) -> None:
    """Whether every tap is a map of the network, and accepts the sizes of painting and style."""
    pictures = [torch.empty(1, 3, *size, device="meta") for size in (content, style)]
    Job(pictures[0], pictures[1:], network, resolved(cell.full_settings())).scales()


def _check_memory(job: Job, at_once: int) -> None:
    if at_once < 2 or job.network.mean.device.type != "cpu":
        return
    each, there = estimated_peak(job), available_memory()
    if at_once * each > there:
        fit = max(int(there // each), 1)
        raise InputError(
            f"{at_once} paintings at a time take about {at_once * each / 1e9:.1f} GB of memory, "
            f"and {there / 1e9:.1f} GB are free; use --workers {fit}"
        )
