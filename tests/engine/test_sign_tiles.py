"""One-bit convolutions in tiles of 8-bit integers against counted bits: the same, bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bitbrush.engine import launch
from bitbrush.engine.factors import factor_of
from bitbrush.engine.packing import Filters, PackedMap, blocks_of, padded
from bitbrush.engine.precision import has_sign_tiles
from bitbrush.quantizers import Estimator

pytestmark = pytest.mark.skipif(not has_sign_tiles(), reason="this CPU has no tiles of integers")

ESTIMATORS = (Estimator("ste"), Estimator("approx"), Estimator("swish"), Estimator("identity"))

Size = tuple[int, int, int, int, int]

sizes = st.tuples(
    st.integers(1, 2),
    st.integers(1, 150),
    st.integers(1, 150),
    st.integers(1, 40),
    st.integers(1, 40),
)
"""Images, channels in and out, height and width."""


def filters_and_map(size: Size, kernel: int, border: int, seed: int) -> tuple[Filters, PackedMap]:
    images, channels, out, height, width = size
    random = torch.Generator().manual_seed(seed)
    filters = Filters.of(torch.randn(out, channels, kernel, kernel, generator=random))
    values = torch.randn(images, channels, height, width, generator=random)
    packed = PackedMap.empty(tuple(values.shape), (border,) * 4, 1.0)  # type: ignore[arg-type]
    launch.pack_map(values.contiguous(memory_format=torch.channels_last), packed)
    return filters, packed


def of_filters(filters: Filters, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Base, scale and offset."""
    random = torch.Generator().manual_seed(seed)
    room = 64 * blocks_of(filters.channels_out)
    base = torch.full((room,), filters.terms, dtype=torch.int32)
    scale, offset = (padded(torch.randn(filters.channels_out, generator=random)) for _ in range(2))
    return base, scale, offset


def both_ways(work: object, monkeypatch: pytest.MonkeyPatch) -> list[list[Tensor]]:
    """What some work gives in tiles, and with tiles switched off."""
    found = []
    for there in (True, False):
        with monkeypatch.context() as patched:
            patched.setattr(launch, "has_sign_tiles", lambda there=there: there)
            patched.setattr(launch, "FEW", 0)
            found.append(work())  # type: ignore[operator]
    return found


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from([(1, 0), (3, 1), (3, 0), (5, 2), (2, 1)]), st.booleans(), st.data())
def test_a_convolution(
    size: Size, window: tuple[int, int], of_zeros: bool, data: st.DataObject
) -> None:
    kernel, border = window
    images, _, out, height, width = size
    result_size = tuple(side + 2 * border - kernel + 1 for side in (height, width))
    if min(result_size) < 1:
        return
    seed = data.draw(st.integers(0, 99))
    filters, packed = filters_and_map(size, kernel, border, seed)
    cells = torch.randint(-9, 9, (kernel**2, 64 * blocks_of(out)), dtype=torch.int32)

    def work() -> list[Tensor]:
        result = launch.empty_map((images, out, *result_size))
        launch.convolve(
            packed, filters, 1, *of_filters(filters, seed), result, cells if of_zeros else None
        )
        return [result]

    with pytest.MonkeyPatch.context() as monkeypatch:
        (tiles,), (counted,) = both_ways(work, monkeypatch)
    assert torch.equal(tiles, counted)


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from(ESTIMATORS), st.booleans(), st.booleans(), st.integers(0, 99))
def test_a_residual_block(
    size: Size, estimator: Estimator, added: bool, learning: bool, seed: int
) -> None:
    images, _, out, height, width = size
    filters, packed = filters_and_map(size, 3, 1, seed)
    shape = (images, out, height, width)
    before = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    kind = factor_of(estimator, False)

    def work() -> list[Tensor]:
        result = launch.empty_map(shape)
        passed = torch.zeros(images * height * width, blocks_of(out), dtype=torch.int64)
        following = PackedMap.empty(shape, (1,) * 4, -1.0)
        factors = kind.room(images * height * width, out)
        launch.add_residual(
            packed,
            filters,
            1,
            *of_filters(filters, seed),
            before if added else None,
            result,
            passed if learning else None,
            following,
            kind,
            factors,
        )
        return [result, passed, following.words, *([] if factors is None else [factors])]

    with pytest.MonkeyPatch.context() as monkeypatch:
        tiles, counted = both_ways(work, monkeypatch)
    for one, other in zip(tiles, counted, strict=True):
        assert torch.equal(one, other)
