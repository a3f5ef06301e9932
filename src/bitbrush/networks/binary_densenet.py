"""BinaryDenseNet 28, 37, 37 dilated and 45 (Bethge et al. 2019), as larq-zoo has them.

A dense layer appends its own channels to the map that it was given: x becomes [x, one-bit 3x3
convolution of sign(BN(x))]. Between stages a float transition narrows the map, and halves it where
the next stage is not dilated.

Taps. What a layer binarises is its own batch norm of the map before it; so the tap of a block is
the batch norm of its follower:
- stem: the first layer's batch norm;
- stageX.blockY: of layer Y's map, the batch norm of what follows in the same stage: of layer Y + 1,
  or of the transition, or, after the last, of the network, before its relu;
- stageX.block0, from the second stage on: the first layer's batch norm of the transition's map.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Pool2d, PoolKind, QuantConv2d
from ..quantizers import Estimator, Sign
from .keras import KerasAssembler, KerasLayers
from .taps import Network, Tap

CLIP = 1.3
WIDTH = 64
"""Channels of the stem, and of what each layer appends."""


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


class DenseLayer(nn.Module):
    """A batch norm of the whole map, and a one-bit convolution of it to the channels to append."""

    def __init__(self, channels: int, growth: int, dilation: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.conv = QuantConv2d(
            channels,
            growth,
            3,
            dilation=dilation,
            input_quantizer=Sign(Estimator("ste", CLIP)),
            kernel_quantizer=Sign(Estimator("ste", CLIP)),
            clip=CLIP,
        )


class Transition(nn.Module):
    """A batch norm, then a pool (if it halves), relu and a float 1x1 convolution."""

    def __init__(
        self, channels_in: int, channels_out: int, halves: bool, pooling: PoolKind
    ) -> None:
        super().__init__()
        self.norm = _norm(channels_in)
        self.pool = Pool2d(2, 2, "valid", pooling) if halves else nn.Identity()
        self.conv = Conv2d(channels_in, channels_out, 1)

    def forward(self, normed: Tensor) -> Tensor:
        """normed: what `norm` gave."""
        result: Tensor = self.conv(functional.relu(self.pool(normed)))
        return result


class BinaryDenseNet(Network):
    """The network; see the module's text.

    Args:
        layers: of each stage.
        reduction: after each stage but the last, by how much its channels are divided; the result
            is rounded to a multiple of 32.
        dilation: of each stage's kernels.
        stem: channels of the stem.
        growth: channels that a layer appends.
        classes: of the classifier.
        pooling: of the stem's and the transitions' pools.
    """

    def __init__(
        self,
        name: str,
        layers: Sequence[int],
        reduction: Sequence[float],
        dilation: Sequence[int] = (1, 1, 1, 1),
        *,
        stem: int = WIDTH,
        growth: int = WIDTH,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        taps = {"stem": Tap(stride=4)}
        stride, width = 4, stem
        stages: list[nn.Module] = []
        transitions: list[nn.Module] = []
        for index, (count, spread) in enumerate(zip(layers, dilation, strict=True)):
            if index:
                halves = spread == 1
                # Divided and floored first, then rounded half to even: as larq-zoo does.
                narrowed = round(width // reduction[index - 1] / 32) * 32
                transitions.append(Transition(width, narrowed, halves, pooling))
                width = narrowed
                stride *= 2 if halves else 1
            for block in range(1 if index == 0 else 0, count + 1):
                taps[f"stage{index + 1}.block{block}"] = Tap(stride=stride)
            stages.append(
                nn.ModuleList(
                    DenseLayer(width + growth * layer, growth, spread) for layer in range(count)
                )
            )
            width += growth * count
        taps["logits"] = Tap(stride=0)
        super().__init__(name, taps)
        self.stem = Conv2d(3, stem, 7, 2)
        self.stem_norm = _norm(stem)
        self.pool = Pool2d(3, 2, "same", pooling)
        self.stages = nn.ModuleList(stages)
        self.transitions = nn.ModuleList(transitions)
        self.norm = _norm(width)
        self.head = nn.Linear(width, classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.pool(functional.relu(self.stem_norm(self.stem(x))))
        tap = "stem"
        for number, stage in enumerate(self.stages, 1):
            for index, layer in enumerate(cast("Iterable[DenseLayer]", stage), 1):
                entered = layer.norm(x)
                yield tap, entered
                x = torch.cat((x, layer.conv(entered)), dim=1)
                tap = f"stage{number}.block{index}"
            if number < len(self.stages):
                transition = cast("Transition", self.transitions[number - 1])
                normed = transition.norm(x)
                yield tap, normed
                x = transition(normed)
                tap = f"stage{number + 1}.block0"
        x = self.norm(x)
        yield tap, x
        yield "logits", self.head(functional.relu(x).mean((2, 3)))


def densenet28(pooling: PoolKind = "max") -> BinaryDenseNet:
    """BinaryDenseNet28: 23 one-bit layers."""
    layers, reduction = (6, 6, 6, 5), (2.7, 2.7, 2.2)
    return BinaryDenseNet("binary-densenet28", layers, reduction, pooling=pooling)


def densenet37(pooling: PoolKind = "max") -> BinaryDenseNet:
    """BinaryDenseNet37: 32 one-bit layers."""
    layers, reduction = (6, 8, 12, 6), (3.3, 3.3, 4)
    return BinaryDenseNet("binary-densenet37", layers, reduction, pooling=pooling)


def densenet37_dilated(pooling: PoolKind = "max") -> BinaryDenseNet:
    """BinaryDenseNet37 whose last two stages stay at 1/8 of the picture, with dilated kernels."""
    layers, reduction = (6, 8, 12, 6), (3.3, 3.3, 4)
    name = "binary-densenet37-dilated"
    return BinaryDenseNet(name, layers, reduction, (1, 1, 2, 4), pooling=pooling)


def densenet45(pooling: PoolKind = "max") -> BinaryDenseNet:
    """BinaryDenseNet45: 40 one-bit layers."""
    layers, reduction = (6, 12, 14, 8), (2.7, 3.3, 4)
    return BinaryDenseNet("binary-densenet45", layers, reduction, pooling=pooling)


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo (binary_densenet-v0.1) as this module's parameters.

    Args:
        layers: of a file with the classifier; 'notop' files hold the same values without it.
        network: a BinaryDenseNet that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assert isinstance(network, BinaryDenseNet)
    assembler = KerasAssembler(layers, network)
    assembler.conv("stem")
    assembler.norm("stem_norm")
    for number, stage in enumerate(network.stages):
        if number:
            assembler.norm(f"transitions.{number - 1}.norm")
            assembler.conv(f"transitions.{number - 1}.conv")
        for index in range(len(stage)):  # type: ignore[arg-type]
            assembler.norm(f"stages.{number}.{index}.norm")
            assembler.conv(f"stages.{number}.{index}.conv")
    assembler.norm("norm")
    assembler.dense("head")
    return assembler.finish()
