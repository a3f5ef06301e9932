"""Bits of signs: what is packed can be unpacked, and lies where it should."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bitbrush.engine.launch import pack_map
from bitbrush.engine.packing import Filters, PackedMap, pack_bits, unpack_bits

Values = Callable[[tuple[int, ...], int], Tensor]

few = st.integers(1, 9)
channels = st.sampled_from([1, 3, 16, 31, 63, 64, 65, 96, 128, 130, 200])


@given(channels, few, st.integers(0, 10**6))
def test_bits_are_unpacked_as_they_were_packed(count: int, pixels: int, seed: int) -> None:
    bits = torch.rand(pixels, count, generator=torch.Generator().manual_seed(seed)) < 0.5
    words = pack_bits(bits)
    assert words.shape == (pixels, -(-count // 64))
    assert torch.equal(unpack_bits(words, count), bits.to(torch.uint8))
    if count % 64:
        beyond = unpack_bits(words, 64 * words.shape[1])[:, count:]
        assert not beyond.any()


@given(channels, channels, st.sampled_from([1, 2, 3, 5]))
def test_filters_keep_their_signs(out: int, into: int, kernel: int) -> None:
    weight = torch.randn(out, into, kernel, kernel)
    weight[0, 0, 0, 0] = 0.0
    signs = Filters.of(weight).signs()
    assert torch.equal(signs, torch.where(weight < 0, -1.0, 1.0))


@given(
    channels,
    few,
    few,
    st.integers(1, 3),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.sampled_from([-1.0, 0.0, 1.0]),
)
def test_a_map_is_packed_inside_its_border(
    special_values: Values,
    count: int,
    height: int,
    width: int,
    images: int,
    border: tuple[int, int, int, int],
    value: float,
) -> None:
    x = special_values((images, count, height, width), count + height + width)
    packed = PackedMap.empty(tuple(x.shape), border, value)
    pack_map(x.contiguous(memory_format=torch.channels_last), packed)
    top, bottom, left, right = border
    around = torch.full((images, count, height + top + bottom, width + left + right), value > 0)
    around[:, :, top : top + height, left : left + width] = ~(x < 0)
    assert torch.equal(packed.words[0], pack_bits(around.permute(0, 2, 3, 1).contiguous()))


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_levels_are_packed_into_planes(special_values: Values, planes: int) -> None:
    x = special_values((2, 70, 5, 4), planes)
    levels = 2**planes - 1
    packed = PackedMap.empty(tuple(x.shape), planes=planes)
    pack_map(x.contiguous(memory_format=torch.channels_last), packed, levels=levels)
    integers = (x.clamp(0, 1) * levels).round().long().permute(0, 2, 3, 1)
    for plane in range(planes):
        assert torch.equal(packed.words[plane], pack_bits((integers >> plane & 1).contiguous()))
