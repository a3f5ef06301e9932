"""Tiles: they cover a picture once, and a network's maps of them are those of the whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.quicknet_v1 import QuickNetV1
from bitbrush.networks.taps import Tap
from bitbrush.style.tiles import HALOS, plan, spans


@given(
    size=st.integers(1, 500),
    count=st.integers(1, 9),
    step=st.sampled_from([1, 2, 4, 16]),
    halos=st.integers(0, 5),
)
@settings(derandomize=True)
def test_spans_cover_an_axis_once_in_step_with_it(
    size: int, count: int, step: int, halos: int
) -> None:
    found = spans(size, count, step, halos * step)
    assert found[0].first == 0 and found[-1].last == size
    assert [span.final for span in found] == [False] * (len(found) - 1) + [True]
    for span, following in zip(found, found[1:], strict=False):
        assert span.last == following.first
    for span in found:
        assert span.first < span.last and span.start % step == 0
        assert (span.stop - span.start) % step == size % step
        assert span.start == max(span.first - halos * step, 0)
        assert min(span.last + halos * step, size) <= span.stop <= size


def test_plan_keeps_to_the_limit_and_cuts_no_more_than_it_must() -> None:
    taps = list(QuickBrush().taps.values())
    tiles = plan(2208, 3888, taps, 1, 1e6)
    assert max(tile.pixels for tile in tiles) <= 1e6
    assert sum(tile.pixels for tile in tiles) < 1.6 * 2208 * 3888
    assert len(plan(2208, 3888, taps, 1, 1e9)) == 1
    # However little there is, a tile is more than halo.
    halo = -(-max(tap.reach or 0 for tap in taps) // 16) * 16
    smallest = plan(2208, 3888, taps, 1, 1)
    assert max(tile.pixels for tile in smallest) <= (HALOS * halo) ** 2
    assert sum(tile.pixels for tile in smallest) < 5 * 2208 * 3888


def brush() -> QuickBrush:
    return QuickBrush(stem=4, widths=(64, 64, 64), blocks=(1, 2, 1))


def quicknet() -> QuickNetV1:
    return QuickNetV1("quicknet-v1-test", (1, 1, 1), (32, 64, 128))


@pytest.mark.parametrize("build", [brush, quicknet])
@pytest.mark.parametrize("size", [(256, 320), (251, 301), (246, 317)])
@pytest.mark.parametrize("counts", [(1, 4), (3, 1), (2, 3)])
def test_maps_of_tiles_are_those_of_the_whole(
    build: Any, size: tuple[int, int], counts: tuple[int, int]
) -> None:
    network = settled(build)
    names = [name for name, tap in network.taps.items() if tap.stride]
    taps = [network.taps[name] for name in names]
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    step = max(tap.stride for tap in taps)
    halo = -(-max(tap.reach for tap in taps) // step) * step
    axes = [spans(*axis, step, halo) for axis in zip(size, counts, strict=True)]
    for axis, whole_size, count in zip(axes, size, counts, strict=True):
        cut = [span for span in axis if span.stop - span.start < whole_size]
        assert len(axis) == count and (cut or count == 1)
    with torch.no_grad():
        whole = network(image, names)
        rows = []
        for row in axes[0]:
            parts = []
            for column in axes[1]:
                part = network(image[..., row.seen(), column.seen()], names)
                own = {
                    name: part[name][..., row.own(tap.stride), column.own(tap.stride)]
                    for name, tap in zip(names, taps, strict=True)
                }
                parts.append(own)
            rows.append({name: torch.cat([part[name] for part in parts], 3) for name in names})
    for name in names:
        together = torch.cat([row[name] for row in rows], 2)
        assert together.shape == whole[name].shape
        # A sum in another order may be off by one bit, and a sign with it: so rare ones may differ.
        apart = (together - whole[name]).abs() > 1e-5 * whole[name].abs().max()
        assert float(apart.float().mean()) < 1e-4, name


@pytest.mark.parametrize("build", [brush, quicknet])
def test_reach_holds_and_is_not_wasted(build: Any) -> None:
    """A gradient from one position touches pixels as far as that, and nearly as far."""
    network = settled(build)
    image = torch.rand(1, 3, 384, 384, generator=torch.Generator().manual_seed(0))
    image.requires_grad_(True)
    for name, tap in network.taps.items():
        if not tap.stride:
            continue
        assert isinstance(tap, Tap) and tap.reach is not None
        value = network(image, [name])[name]
        middle = value.shape[-1] // 2
        (gradient,) = torch.autograd.grad(value[0, :, middle, middle].sum(), image)
        touched = gradient[0].abs().sum(0).nonzero() - middle * tap.stride
        assert 0.6 * tap.reach < int(touched.abs().max()) <= tap.reach, name


def settled(build: Any) -> Any:
    """With random batch norms, so that values are of all signs; gradients pass everywhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build().settle()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.affine:
                module.weight.copy_(torch.rand_like(module.weight) + 0.5)
                module.bias.copy_(torch.randn_like(module.bias))
    return network
