"""A painting small enough for tests: a seeded network of one stage, two pictures, few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.style.defaults import resolved
from bitbrush.style.job import Job
from bitbrush.style.settings import make_settings

TINY = {
    "size": 80,
    "min_size": 40,
    "steps": 14,
    "content_taps": "stem",
    "style_taps": "stem,stage1.block1",
    "roll": 4,
    # Independent of what the defaults are tuned to.
    "content_weight": 0.02,
    "style_weight": 1.0,
    "colour_weight": 0.2,
    "tv_weight": 0.002,
}


def picture(seed: int, height: int, width: int) -> Tensor:
    """Soft blots of colour, RGB [1, 3, H, W] in [0, 1]."""
    random = torch.Generator().manual_seed(seed)
    blots = torch.rand(1, 3, 6, 6, generator=random)
    return functional.interpolate(blots, (height, width), mode="bicubic").clamp(0, 1)


def tiny_network(kind: type[QuickBrush] = QuickBrush) -> Any:
    """A settled network; the caller's random state is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(stem=8, widths=(64,), blocks=(1,)).settle()


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """make_job(network=…, styles=…, start=…, **settings): 40x33 and 80x67 px in 14 steps."""
    shared = tiny_network()

    def make(
        network: Any = None,
        styles: list[Tensor] | None = None,
        start: Tensor | None = None,
        **settings: Any,
    ) -> Job:
        chosen = resolved(make_settings(TINY | settings))
        content = picture(1, 40, 48)
        return Job(content, styles or [picture(2, 40, 44)], network or shared, chosen, start)

    return make


@pytest.fixture(scope="session")
def make_network() -> Callable[..., Any]:
    """make_network(kind): a settled network of a class derived from QuickBrush."""
    return tiny_network


@pytest.fixture(scope="session")
def make_picture() -> Callable[[int, int, int], Tensor]:
    """make_picture(seed, height, width): RGB [1, 3, H, W] in [0, 1]."""
    return picture
