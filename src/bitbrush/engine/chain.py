"""Residual blocks, one after the other: each adds norm(relu(one-bit convolution of sign(x)))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..quantizers import Estimator, current_image_estimator
from .buffers import empty
from .factors import REALS, Factor, factor_of
from .launch import add_residual, empty_map, pack_map, pass_gradient
from .packing import BLOCK, Filters, PackedMap, blocks_of
from .precision import Precision
from .transposed import TransposedFilters


@dataclass(frozen=True)
class Rectified:
    """scale relu(one-bit convolution of sign(x)) + offset.

    Attributes:
        filters: of the convolution.
        base: int32 [64 blocks], the products in each sum.
        scale, offset: float32 [64 blocks].
        transposed: its way back.
        border: cells added on each side; kernel and stride keep the size of the map.
        value: of those cells, -1 or +1.
        estimator: the gradient of its sign, unless another is asked for.
    """

    filters: Filters
    base: Tensor
    scale: Tensor
    offset: Tensor
    transposed: TransposedFilters
    border: int
    value: float
    estimator: Estimator


def padded(values: Tensor) -> Tensor:
    """A vector [C] with zeros behind, so that its last block is whole."""
    return torch.nn.functional.pad(values, (0, -len(values) % BLOCK)).contiguous()


class ResidualChain(torch.autograd.Function):
    """Blocks on one map; gives the maps behind the blocks that are asked for."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        blocks: Sequence[Rectified],
        wanted: Sequence[int],
        precision: Precision,
        owned: bool,
    ) -> tuple[Tensor, ...]:
        """Args:
        x: float32 [N, C, H, W].
        blocks: at least one.
        wanted: indices of blocks, rising; the last block's is always given.
        owned: nobody else needs x, so it may be overwritten.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        images, channels, height, width = x.shape
        pixels, learning = images * height * width, ctx.needs_input_grad[0]
        first = blocks[0]
        border, shape = (first.border,) * 4, (images, channels, height, width)
        bits = PackedMap.empty(shape, border, first.value)
        spare = PackedMap.empty(shape, border, first.value)
        chosen = current_image_estimator()
        kinds = [factor_of(chosen or b.estimator, precision == "float32") for b in blocks]
        factors = [_room(kind, pixels, channels, learning) for kind in kinds]
        passed: list[Tensor | None] = []
        pack_map(x, bits, kinds[0], factors[0])
        fill_exact(kinds[0], factors[0], chosen or first.estimator, x)
        given = []
        for index, block in enumerate(blocks):
            following = index + 1 if index + 1 < len(blocks) else None
            result = x if owned else empty_map(shape)
            words = (pixels, blocks_of(channels))
            passed.append(empty(words, torch.int64) if learning else None)
            add_residual(
                bits,
                block.filters,
                1,
                block.base,
                block.scale,
                block.offset,
                x,
                result,
                passed[-1],
                None if following is None else spare,
                None if following is None else kinds[following],
                None if following is None else factors[following],
            )
            if following is not None:
                own = chosen or blocks[following].estimator
                fill_exact(kinds[following], factors[following], own, result)
            x, owned = result, True
            if index in wanted or following is None:
                given.append(x)
                owned = False
            bits, spare = spare, bits
        ctx.blocks, ctx.precision, ctx.kinds = blocks, precision, kinds
        ctx.given = sorted({*wanted, len(blocks) - 1})
        ctx.kept = (passed, factors, shape)
        ctx.set_materialize_grads(False)
        return tuple(given)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        passed, factors, shape = ctx.kept
        taps = dict(zip(ctx.given, gradients, strict=True))
        last = max((index for index, tap in taps.items() if tap is not None), default=None)
        if last is None:
            return (None,) * 5
        precision = ctx.blocks[0].transposed.way(ctx.precision, (ctx.blocks[0].border,) * 4)
        if precision == "int8":
            return _back_in_octets(ctx, taps, last), None, None, None, None
        running = empty_map(shape, torch.float32)
        half = torch.bfloat16 if precision == "bf16" else torch.float32
        scaled = empty_map(shape, half)
        arrived: Tensor | None = None
        for index in range(last, -1, -1):
            block: Rectified = ctx.blocks[index]
            tap = taps.get(index)
            pass_gradient(
                running,
                running=running,
                fresh=index == last,
                arrived=arrived,
                factor=ctx.kinds[index + 1] if arrived is not None else None,
                factors=factors[index + 1] if arrived is not None else None,
                tap=_flat(tap),
                passed=passed[index],
                scale=block.scale,
                result=scaled,
            )
            border = (block.border,) * 4
            arrived = block.transposed(scaled, shape[2:], border, precision)
        pass_gradient(
            running,
            running=running,
            arrived=arrived,
            factor=ctx.kinds[0],
            factors=factors[0],
        )
        return running, None, None, None, None


def _back_in_octets(ctx: Any, taps: dict[int, Tensor | None], last: int) -> Tensor:
    """The gradient to the chain's input, a block at a time, each in one pass."""
    passed, factors, shape = ctx.kept
    running = _flat(taps[last])
    assert running is not None
    # What a block's neighbours still read must not be overwritten, so two maps take turns.
    spare: Tensor | None = None
    for index in range(last, -1, -1):
        block: Rectified = ctx.blocks[index]
        result = empty_map(shape, torch.float32) if spare is None else spare
        block.transposed.winograd.add_gradient(
            running,
            result,
            scale=block.scale,
            passed=passed[index],
            factor=ctx.kinds[index],
            factors=factors[index],
            running=running,
            tap=_flat(taps.get(index - 1)),
        )
        # The first one is the loss's own.
        spare = None if index == last else running
        running = result
    return running


def _flat(gradient: Tensor | None) -> Tensor | None:
    if gradient is None:
        return None
    return gradient.float().contiguous(memory_format=torch.channels_last)


def _room(kind: Factor, pixels: int, channels: int, learning: bool) -> Tensor | None:
    return kind.room(pixels, channels) if learning else None


def fill_exact(kind: Factor, factors: Tensor | None, estimator: Estimator, x: Tensor) -> None:
    """Writes factors that are kept as floats, which no kernel does."""
    if factors is not None and kind.mode == REALS:
        factors.copy_(estimator.factor(x).permute(0, 2, 3, 1).reshape(factors.shape))
