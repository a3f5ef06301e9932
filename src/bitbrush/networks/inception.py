"""Inception v3 as Keras has it (Szegedy et al. 2015), without its side head.

Every convolution has a batch norm without scale and a relu behind it. Pixels enter as 2 x - 1.

Taps are maps after relu, with Keras' names: stem = the third convolution; stage1.block1 = the
fifth; stage2.block1 … 3 = mixed0 … 2; stage3.block1 … 5 = mixed3 … 7; stage4.block1 … 3 =
mixed8 … 10.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Pool2d, PoolKind
from .keras import KerasAssembler, KerasLayers, by_creation, unscaled
from .taps import Network, Tap

# A convolution: channels, rows and columns of its kernel, and whether it halves the map, without
# border. A tuple of them forks: each takes the same map, and their results are put together.
Conv = tuple[int, int, int] | tuple[int, int, int, Literal["halves"]]
Branch = Sequence[Conv | tuple[Conv, ...]]


def _square(first: int, second: int, third: int, pooled: int) -> tuple[Sequence[Branch], int]:
    """Modules at 1/8: channels of the 5x5 and the two 3x3 convolutions, and behind the pool."""
    return (
        ((64, 1, 1),),
        ((48, 1, 1), (first, 5, 5)),
        ((64, 1, 1), (second, 3, 3), (third, 3, 3)),
    ), pooled


def _long(width: int) -> tuple[Sequence[Branch], int]:
    """Modules at 1/16, with kernels of 1x7 and 7x1."""
    return (
        ((192, 1, 1),),
        ((width, 1, 1), (width, 1, 7), (192, 7, 1)),
        ((width, 1, 1), (width, 7, 1), (width, 1, 7), (width, 7, 1), (192, 1, 7)),
    ), 192


_FORK: tuple[Conv, ...] = ((384, 1, 3), (384, 3, 1))
_WIDE: tuple[Sequence[Branch], int] = (
    (
        ((320, 1, 1),),
        ((384, 1, 1), _FORK),
        ((448, 1, 1), (384, 3, 3), _FORK),
    ),
    192,
)
# For each stage its modules: their branches, and the channels behind the average pool; 0 has a
# maximum pool instead, which halves the map as the branches do.
STAGES: Sequence[Sequence[tuple[Sequence[Branch], int]]] = (
    (_square(64, 96, 96, 32), _square(64, 96, 96, 64), _square(64, 96, 96, 64)),
    (
        (
            (
                ((384, 3, 3, "halves"),),
                ((64, 1, 1), (96, 3, 3), (96, 3, 3, "halves")),
            ),
            0,
        ),
        _long(128),
        _long(160),
        _long(160),
        _long(192),
    ),
    (
        (
            (
                ((192, 1, 1), (320, 3, 3, "halves")),
                ((192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, "halves")),
            ),
            0,
        ),
        _WIDE,
        _WIDE,
    ),
)


class ConvNorm(nn.Module):
    """A convolution, a batch norm without scale and a relu; without border where it halves."""

    def __init__(
        self, channels_in: int, conv: Conv, *, border: bool = True, divisor: int = 1
    ) -> None:
        super().__init__()
        self.channels = conv[0] // divisor
        kernel, halves = conv[1:3], len(conv) == 4
        padding = (kernel[0] // 2, kernel[1] // 2) if border and not halves else (0, 0)
        stride = 2 if halves else 1
        self.conv = nn.Conv2d(channels_in, self.channels, kernel, stride, padding, bias=False)
        self.norm = unscaled(nn.BatchNorm2d(self.channels, eps=1e-3, momentum=0.01))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)))


class Mixed(nn.Module):
    """Branches side by side, the last one behind a pool; their channels one after the other."""

    def __init__(
        self,
        channels_in: int,
        branches: Sequence[Branch],
        pooled: int,
        pooling: PoolKind,
        divisor: int,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        self.channels = 0
        for branch in branches:
            steps, width = nn.ModuleList(), channels_in
            for step in branch:
                fork = step if isinstance(step[0], tuple) else (step,)
                convs = [ConvNorm(width, conv, divisor=divisor) for conv in fork]
                steps.append(nn.ModuleList(convs))
                width = sum(conv.channels for conv in convs)
            self.branches.append(steps)
            self.channels += width
        self.pool = Pool2d(3, 1, "same", "average") if pooled else Pool2d(3, 2, "valid", pooling)
        behind = ConvNorm(channels_in, (pooled, 1, 1), divisor=divisor) if pooled else None
        self.behind = behind
        self.channels += channels_in if behind is None else behind.channels

    def forward(self, x: Tensor) -> Tensor:
        results = []
        for branch in self.branches:
            y = x
            for fork in cast("Iterable[Iterable[ConvNorm]]", branch):
                y = torch.cat([conv(y) for conv in fork], dim=1)
            results.append(y)
        pooled = self.pool(x)
        results.append(pooled if self.behind is None else self.behind(pooled))
        return torch.cat(results, dim=1)


class InceptionV3(Network):
    """The network; see the module's text.

    Args:
        divisor: of all channels.
        classes: of the classifier.
        pooling: of the pools that halve the map; those inside the modules are averages either way.
    """

    def __init__(
        self,
        name: str = "inception-v3",
        pooling: PoolKind = "max",
        *,
        divisor: int = 1,
        classes: int = 1000,
    ) -> None:
        # Without border, each halving wants three cells of what was left by the one before.
        smallest = {2: 7, 4: 19, 8: 27, 16: 43, 32: 75}
        taps = {
            "stem": Tap(stride=2, smallest=smallest[2]),
            "stage1.block1": Tap(stride=4, smallest=smallest[4]),
        }
        for number, modules in enumerate(STAGES, 2):
            stride = 2 ** (number + 1)
            for index in range(1, len(modules) + 1):
                taps[f"stage{number}.block{index}"] = Tap(stride, smallest[stride])
        taps["logits"] = Tap(stride=0, smallest=smallest[32])
        half = (0.5, 0.5, 0.5)
        super().__init__(name, taps, mean=half, std=half)
        self.stem = nn.ModuleList()
        convs: Sequence[tuple[Conv, bool]] = (
            ((32, 3, 3, "halves"), False),
            ((32, 3, 3), False),
            ((64, 3, 3), True),
            ((80, 1, 1), False),
            ((192, 3, 3), False),
        )
        before = 3
        for conv, border in convs:
            made = ConvNorm(before, conv, border=border, divisor=divisor)
            self.stem.append(made)
            before = made.channels
        self.pool = Pool2d(3, 2, "valid", pooling)
        self.stages = nn.ModuleList()
        for modules in STAGES:
            blocks = nn.ModuleList()
            for branches, pooled in modules:
                block = Mixed(before, branches, pooled, pooling, divisor)
                blocks.append(block)
                before = block.channels
            self.stages.append(blocks)
        self.head = nn.Linear(before, classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        for conv in self.stem[:3]:
            x = conv(x)
        yield "stem", x
        x = self.pool(x)
        for conv in self.stem[3:]:
            x = conv(x)
        yield "stage1.block1", x
        x = self.pool(x)
        for number, stage in enumerate(self.stages, 2):
            for block, module in enumerate(stage, 1):  # type: ignore[arg-type,var-annotated]
                x = module(x)
                yield f"stage{number}.block{block}", x
        yield "logits", self.head(x.mean((2, 3)))


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of tf.keras.applications.InceptionV3 as this module's parameters.

    Its branches are interleaved in the file, and many shapes are equal; only the numbers in the
    layers' names, which count in the order of their making, tell where each belongs.

    Args:
        layers: of a file with the classifier.
        network: an InceptionV3 that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assembler = KerasAssembler(by_creation(layers), network)
    for name, module in network.named_modules():
        if isinstance(module, ConvNorm):
            assembler.conv(f"{name}.conv")
            assembler.norm(f"{name}.norm")
    assembler.dense("head")
    return assembler.finish()
