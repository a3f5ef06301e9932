"""Painting on packed bits: repeatable, alone and beside another painting in the same process."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bitbrush.engine.freeze import freeze
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.style.defaults import resolved
from bitbrush.style.job import Job
from bitbrush.style.loop import painting_steps
from bitbrush.style.settings import make_settings

SETTINGS: dict[str, Any] = {
    "size": 64,
    "min_size": 32,
    "steps": 8,
    "content_taps": "stem",
    "style_taps": "stem,stage1.block1,stage1.block2",
    "content_weight": 0.02,
    "style_weight": 1.0,
    "colour_weight": 0.2,
    "tv_weight": 0.002,
}


def picture(seed: int, height: int, width: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    blots = torch.rand(1, 3, 6, 6, generator=random)
    return functional.interpolate(blots, (height, width), mode="bicubic").clamp(0, 1)


def job(precision: str, seed: int) -> Job:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = QuickBrush(stem=16, widths=(64,), blocks=(2,)).settle()
    chosen = resolved(make_settings(SETTINGS | {"seed": seed}))
    return Job(
        picture(seed, 40, 48), [picture(9, 40, 44)], freeze(network, precision), chosen, None
    )


def painted(one: Job) -> Tensor:
    (step,) = deque(painting_steps(one), maxlen=1)
    return step.picture()


@pytest.mark.parametrize("precision", ["float32", "bf16", "low-bit"])
def test_the_same_settings_give_the_same_bytes(precision: str) -> None:
    first, again = painted(job(precision, 1)), painted(job(precision, 1))
    assert torch.equal(first, again)
    assert float(first.std()) > 0.01 and bool(first.isfinite().all())


def test_two_paintings_at_once() -> None:
    """Each in a Python thread of its own gives the bytes that it gives alone."""
    alone = [painted(job("low-bit", seed)) for seed in (1, 2)]
    assert not torch.equal(*alone)
    together: dict[int, Tensor] = {}

    def work(index: int, mine: Job) -> None:
        torch.set_num_threads(1)
        together[index] = painted(mine)

    jobs = [job("low-bit", seed) for seed in (1, 2)]
    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
    assert torch.equal(together[0], alone[0]) and torch.equal(together[1], alone[1])
