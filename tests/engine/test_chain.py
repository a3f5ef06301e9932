"""Residual blocks in place against float blocks: maps, and gradients from any of the taps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bitbrush.engine.freeze import packed
from bitbrush.engine.modules import PackedStage
from bitbrush.networks.quickbrush import Block
from bitbrush.networks.sections import Stage
from bitbrush.quantizers import ESTIMATORS, Estimator, image_estimator

Values = Callable[[tuple[int, ...], int], Tensor]
Relative = Callable[[Tensor, Tensor], float]
Maps = dict[int, Tensor]

TOLERANCE = {"float32": 1e-5, "bf16": 1e-2}


def make_stage(channels: int, blocks: int, seed: int = 0) -> Stage:
    """Blocks whose weights and statistics are powers of two, so that float sums are exact.

    Then no sign can flip for rounding, and all that differs is what is under test.
    """
    torch.manual_seed(seed)
    stage = Stage(Block(channels) for _ in range(blocks))
    for block in stage:
        assert isinstance(block, Block)
        nn.init.normal_(block.conv.weight)
        norm = block.norm
        norm.eps = 0.0
        norm.running_var.copy_(4.0 ** torch.randint(2, 5, (channels,)))
        norm.running_mean.copy_(torch.randint(0, 9, (channels,)))
        with torch.no_grad():
            norm.weight.copy_(2.0 ** torch.randint(-2, 3, (channels,)))
            norm.weight[0] = -norm.weight[0]
            norm.bias.copy_(torch.randint(-4, 5, (channels,)) / 4)
    return stage.eval()


def run(
    stage: Callable[..., object],
    x: Tensor,
    wanted: list[int],
    whole: bool,
    used: list[int],
    owned: bool = False,
) -> tuple[Maps, Tensor]:
    """Maps of the wanted blocks, and the gradient of a sum over the used ones to x."""
    leaf = x.clone().requires_grad_(True)
    # A leaf that needs a gradient may not be overwritten, but what is made of it may.
    entered = leaf * 1.0 if owned else leaf
    maps = dict(stage(entered, wanted, whole, owned))
    loss = leaf.sum() * 0
    for index in used:
        random = torch.Generator().manual_seed(index)
        loss = loss + (maps[index] * torch.randn(x.shape, generator=random)).sum()
    (gradient,) = torch.autograd.grad(loss, leaf)
    return {index: maps[index].detach() for index in wanted}, gradient


def quarters(values: Tensor) -> Tensor:
    return (values * 4).round() / 4


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([1, 16, 64, 70, 128]),
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 2),
    st.data(),
)
def test_any_taps_and_any_gradients(
    special_values: Values,
    relative: Relative,
    channels: int,
    blocks: int,
    height: int,
    width: int,
    images: int,
    data: st.DataObject,
) -> None:
    stage = make_stage(channels, blocks, channels + height)
    frozen = packed(stage, "float32")
    assert isinstance(frozen, PackedStage)
    subset = st.lists(st.sampled_from(range(blocks)), unique=True, min_size=1)
    wanted = sorted(data.draw(subset))
    used = sorted(data.draw(st.lists(st.sampled_from(wanted), unique=True, min_size=1)))
    whole, owned = data.draw(st.booleans()), data.draw(st.booleans())
    x = quarters(special_values((images, channels, height, width), blocks))
    maps, gradient = run(stage, x, wanted, whole, used)
    own, own_gradient = run(frozen, x, wanted, whole, used, owned)
    for index in wanted:
        assert torch.equal(own[index], maps[index]), index
    assert relative(own_gradient, gradient) < 1e-5


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators(special_values: Values, relative: Relative, precision: str, name: str) -> None:
    stage = make_stage(70, 3)
    frozen = packed(stage, precision)
    assert isinstance(frozen, PackedStage)
    x = quarters(special_values((1, 70, 7, 6), 2))
    with image_estimator(Estimator(name, 1.5)):
        _, gradient = run(stage, x, [0, 2], True, [0, 2])
        _, own = run(frozen, x, [0, 2], True, [0, 2])
    assert relative(own, gradient) < TOLERANCE[precision]


def test_each_map_is_one_s_own(special_values: Values) -> None:
    """Later blocks work in place; a map that was given away must not change under its owner."""
    stage = make_stage(64, 4)
    frozen = packed(stage, "float32")
    assert isinstance(frozen, PackedStage)
    x = quarters(special_values((1, 64, 5, 5), 1))
    kept = x.clone()
    with torch.no_grad():
        wanted = dict(stage(x, [0, 1, 3], True, False))
        found = dict(frozen(x, [0, 1, 3], True, False))
    assert torch.equal(x, kept)
    addresses = {x.data_ptr(), *(value.data_ptr() for value in found.values())}
    assert len(addresses) == 4
    for index, value in found.items():
        assert torch.equal(value, wanted[index])


def test_nothing_is_computed_behind_the_last_block_that_is_wanted(
    special_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bitbrush.engine import chain

    done: list[int] = []
    real = chain.add_residual
    monkeypatch.setattr(
        chain, "add_residual", lambda *arguments: (done.append(1), real(*arguments))
    )
    frozen = packed(make_stage(64, 4), "float32")
    assert isinstance(frozen, PackedStage)
    x = special_values((1, 64, 5, 5), 1)
    with torch.no_grad():
        assert [index for index, _ in frozen(x, [1], False, False)] == [1]
        assert len(done) == 2
        assert list(frozen(x, [], False, False)) == [] and len(done) == 2
