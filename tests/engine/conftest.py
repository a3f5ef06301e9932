"""Kernels are compiled once for all tests, and layers are compared in one way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from bitbrush.engine import kernel_cache


@pytest.fixture(scope="module", autouse=True)
def kernels_are_kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """The cache lies beside pytest's own, so that compiling takes time in the first run only.

    For one file at a time: tests elsewhere are not to find it.
    """
    kept = pytest.MonkeyPatch()
    folder = request.config.cache.mkdir("kernels")
    os.chmod(folder, 0o700)
    kept.setenv("BITBRUSH_CACHE", str(folder))
    kernel_cache.cache_folder.cache_clear()
    yield
    kept.undo()
    kernel_cache.cache_folder.cache_clear()


def distance(found: Tensor, wanted: Tensor) -> float:
    """Relative L2 distance; the absolute one where all that is wanted is 0."""
    found, wanted = found.detach().double(), wanted.detach().double()
    return float((found - wanted).norm()) / (float(wanted.norm()) or 1.0)


@pytest.fixture(scope="session")
def relative() -> Callable[[Tensor, Tensor], float]:
    """relative(found, wanted): relative L2 distance."""
    return distance


def values(shape: tuple[int, ...], seed: int) -> Tensor:
    """Normal values, among them 0, -0 and the bounds of the estimators' windows."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=random)
    special = torch.tensor([0.0, -0.0, 1.0, -1.0, 1.25, -1.25, 0.5, 1 / 6, 3.0, -1e-30, 1e-30])
    chosen = special[torch.randint(len(special), shape, generator=random)]
    return torch.where(torch.rand(shape, generator=random) < 0.1, chosen, x)


@pytest.fixture(scope="session")
def special_values() -> Callable[[tuple[int, ...], int], Tensor]:
    """special_values(shape, seed): normal values, among them those where decisions are made."""
    return values
