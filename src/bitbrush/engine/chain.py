"""Residual blocks, one after the other: each adds norm(relu(one-bit convolution of sign(x)))."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..quantizers import Estimator, current_image_estimator
from .backward import Surroundings
from .buffers import empty
from .factors import Factor, factor_of
from .launch import add_residual, channels_last, empty_map, pack_map, pass_gradient
from .notes import spoil
from .packing import Filters, PackedMap, blocks_of
from .precision import Precision, without_octets
from .profiling import GRADIENT, seen_as
from .sizes import REALS
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


class Chain:
    """Blocks on one map.

    Args:
        blocks: at least one.
        precision: of the gradient.
    """

    def __init__(self, blocks: Sequence[Rectified], precision: Precision) -> None:
        self.blocks = tuple(blocks)
        self.precision = precision

    def run(
        self, x: Tensor, wanted: Collection[int], learning: bool, owned: bool
    ) -> tuple[dict[int, Tensor], Any]:
        """The maps behind the blocks that are wanted, and what `back` wants.

        Args:
            x: float32 [N, C, H, W] in channels_last.
            wanted: indices of blocks; the last block's map is always given.
            learning: whether `back` will be called.
            owned: nobody else needs x, so it may be overwritten.
        """
        blocks = self.blocks
        images, channels, height, width = x.shape
        shape = (images, channels, height, width)
        pixels = images * height * width
        first = blocks[0]
        border = (first.border,) * 4
        bits = PackedMap.empty(shape, border, first.value)
        spare = PackedMap.empty(shape, border, first.value)
        chosen = current_image_estimator()
        exact = self.precision == "float32"
        kinds = [factor_of(chosen or b.estimator, exact) for b in blocks]
        factors = [_room(kind, pixels, channels, learning) for kind in kinds]
        passed: list[Tensor | None] = []
        pack_map(x, bits, kinds[0], factors[0])
        fill_exact(kinds[0], factors[0], chosen or first.estimator, x)
        given = {}
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
                given[index] = x
                owned = False
            bits, spare = spare, bits
        return given, (passed, kinds, factors, shape)

    def back(
        self,
        kept: Any,
        gradients: Mapping[int, Tensor],
        owned: bool,
        onto: Tensor | None = None,
    ) -> Tensor:
        """The gradient to x, from those to the maps behind some of the blocks.

        Args:
            gradients: by index of the block, at least one.
            owned: nobody else needs the last one, so it may be overwritten.
            onto: added, and overwritten where `owned`.
        """
        border = (self.blocks[0].border,) * 4
        if self.blocks[0].transposed.in_one_pass(self.precision, border) is not None:
            return self._back_in_one_pass(kept, gradients, owned, onto)
        precision = without_octets(self.precision)
        passed, kinds, factors, shape = kept
        last = max(gradients)
        running = gradients[last] if owned else empty_map(shape)
        scaled = empty_map(shape, torch.bfloat16 if precision == "bf16" else torch.float32)
        arrived: Tensor | None = None
        for index in range(last, -1, -1):
            block = self.blocks[index]
            first = index == last
            tap = None if first and owned else gradients.get(index)
            pass_gradient(
                running,
                running=running,
                fresh=first and not owned,
                arrived=arrived,
                factor=None if first else kinds[index + 1],
                factors=None if first else factors[index + 1],
                tap=tap,
                passed=passed[index],
                scale=block.scale,
                result=scaled,
            )
            with seen_as(GRADIENT):
                arrived = block.transposed(scaled, shape[2:], border, precision)
        pass_gradient(
            running,
            running=running,
            arrived=arrived,
            factor=kinds[0],
            factors=factors[0],
            tap=onto,
        )
        return running

    def _back_in_one_pass(
        self, kept: Any, gradients: Mapping[int, Tensor], owned: bool, onto: Tensor | None
    ) -> Tensor:
        """The same a block at a time, each in one pass."""
        passed, kinds, factors, shape = kept
        last = max(gradients)
        running = gradients[last]
        # What a block's neighbours still read must not be overwritten, so two maps take turns.
        spare: Tensor | None = None
        for index in range(last, -1, -1):
            block = self.blocks[index]
            result = empty_map(shape) if spare is None else spare
            with seen_as(GRADIENT):
                way = block.transposed.in_one_pass(self.precision, (block.border,) * 4)
                assert way is not None
                around = Surroundings(
                    scale=block.scale,
                    passed=passed[index],
                    factor=kinds[index],
                    factors=factors[index],
                    running=running,
                    tap=gradients.get(index - 1) if index else onto,
                )
                way.add_gradient(running, result, around)
            spare = running if owned or index < last else None
            running = result
        return running


class ResidualChain(torch.autograd.Function):
    """The same, for torch to take the gradient through."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, chain: Chain, wanted: Sequence[int], owned: bool
    ) -> tuple[Tensor, ...]:
        maps, ctx.kept = chain.run(channels_last(x), wanted, ctx.needs_input_grad[0], owned)
        ctx.chain, ctx.given = chain, list(maps)
        ctx.set_materialize_grads(False)
        return tuple(maps.values())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        arrived = {
            index: channels_last(gradient)
            for index, gradient in zip(ctx.given, gradients, strict=True)
            if gradient is not None
        }
        if not arrived:
            return (None,) * 4
        return ctx.chain.back(ctx.kept, arrived, owned=False), None, None, None


def _room(kind: Factor, pixels: int, channels: int, learning: bool) -> Tensor | None:
    return kind.room(pixels, channels) if learning else None


def fill_exact(kind: Factor, factors: Tensor | None, estimator: Estimator, x: Tensor) -> None:
    """Writes factors that are kept as floats, which no kernel does."""
    if factors is not None and kind.mode == REALS:
        spoil()
        factors.copy_(estimator.factor(x).permute(0, 2, 3, 1).reshape(factors.shape))
