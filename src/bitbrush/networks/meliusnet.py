"""MeliusNet22 (Bethge et al. 2020) as larq-zoo has it: dense blocks, and blocks that improve.

A dense block appends 64 channels to the map, x becomes [x, Q(x)]; an improvement block adds to
those 64: the last channels of x become themselves plus Q(x). Q is a one-bit 3x3 convolution of
sign(BN(x)). They take turns. Between stages a float transition halves and narrows the map.

Taps. What a block binarises is its own batch norm of the map before it; so the tap of a block is
the batch norm of its follower. Both kinds of blocks count:
- stem: the first block's batch norm;
- stageX.blockY: of block Y's map, the batch norm of what follows in the same stage: of block Y + 1,
  or of the transition, or, after the last, of the network, before its relu;
- stageX.block0, from the second stage on: the first block's batch norm of the transition's map.
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
GROWTH = 64
STEM = (32, 32, 64)
STEM_GROUPS = (1, 4, 8)
PAIRS = (4, 5, 4, 4)
WIDTHS = (160, 224, 256)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


class Block(nn.Module):
    """One block of either kind; see the module's text.

    Args:
        channels: that come in.
        growth: that it appends, or improves.
        improves: whether it is an improvement block.
    """

    def __init__(self, channels: int, growth: int, improves: bool) -> None:
        super().__init__()
        self.improves = improves
        self.norm = _norm(channels)
        self.conv = QuantConv2d(
            channels,
            growth,
            3,
            input_quantizer=Sign(Estimator("ste", CLIP)),
            kernel_quantizer=Sign(Estimator("ste", CLIP)),
            clip=CLIP,
        )

    def forward(self, x: Tensor, normed: Tensor) -> Tensor:
        """The outgoing map, from the incoming one and what `norm` made of it."""
        made = self.conv(normed)
        if not self.improves:
            return torch.cat((x, made), dim=1)
        kept = x.shape[1] - made.shape[1]
        return torch.cat((x[:, :kept], x[:, kept:] + made), dim=1)


class Transition(nn.Module):
    """A batch norm, then a pool, relu and a float 1x1 convolution."""

    def __init__(self, channels_in: int, channels_out: int, pooling: PoolKind) -> None:
        super().__init__()
        self.norm = _norm(channels_in)
        self.pool = Pool2d(2, 2, "same", pooling)
        self.conv = Conv2d(channels_in, channels_out, 1)

    def forward(self, normed: Tensor) -> Tensor:
        """normed: what `norm` gave."""
        result: Tensor = self.conv(functional.relu(self.pool(normed)))
        return result


class MeliusNet(Network):
    """The network; see the module's text.

    Args:
        pairs: of a dense and an improvement block, in each stage.
        widths: channels that each transition gives.
        growth: channels that a dense block appends.
        stem: channels of the stem's three convolutions, of which two are grouped.
        classes: of the classifier.
        pooling: of the stem's and the transitions' pools.
    """

    def __init__(
        self,
        name: str = "meliusnet22",
        pairs: Sequence[int] = PAIRS,
        widths: Sequence[int] = WIDTHS,
        *,
        growth: int = GROWTH,
        stem: Sequence[int] = STEM,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        taps = {"stem": Tap(stride=4)}
        stages: list[nn.Module] = []
        transitions: list[nn.Module] = []
        width = stem[-1]
        for index, count in enumerate(pairs):
            if index:
                transitions.append(Transition(width, widths[index - 1], pooling))
                width = widths[index - 1]
            for block in range(1 if index == 0 else 0, 2 * count + 1):
                taps[f"stage{index + 1}.block{block}"] = Tap(stride=2 ** (index + 2))
            blocks = []
            for _ in range(count):
                blocks += [Block(width, growth, False), Block(width + growth, growth, True)]
                width += growth
            stages.append(nn.ModuleList(blocks))
        taps["logits"] = Tap(stride=0)
        super().__init__(name, taps)
        self.stem, self.stem_norms = nn.ModuleList(), nn.ModuleList()
        before = 3
        for after, groups in zip(stem, STEM_GROUPS, strict=True):
            self.stem.append(Conv2d(before, after, 3, 2 if before == 3 else 1, groups=groups))
            self.stem_norms.append(_norm(after))
            before = after
        self.pool = Pool2d(2, 2, "same", pooling)
        self.stages = nn.ModuleList(stages)
        self.transitions = nn.ModuleList(transitions)
        self.norm = _norm(width)
        self.head = nn.Linear(width, classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        for conv, norm in zip(self.stem, self.stem_norms, strict=True):
            x = functional.relu(norm(conv(x)))
        x = self.pool(x)
        tap = "stem"
        for number, stage in enumerate(self.stages, 1):
            for index, block in enumerate(cast("Iterable[Block]", stage), 1):
                normed = block.norm(x)
                yield tap, normed
                x = block(x, normed)
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


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo (meliusnet22-v0.1) as this module's parameters.

    Its layers have names of their own, which tell where each belongs; a grouped convolution is a
    layer for each group.

    Args:
        layers: of a file with the classifier; 'notop' files hold the same values without it.
        network: a MeliusNet that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assert isinstance(network, MeliusNet)
    assembler = KerasAssembler(layers, network)
    for index, groups in enumerate(STEM_GROUPS):
        layer = f"stem_s{index}"
        convs = [f"{layer}_groupconv_conv{group}" for group in range(groups)]
        assembler.named(f"stem.{index}", *(convs if groups > 1 else [f"{layer}_conv"]))
        assembler.named(f"stem_norms.{index}", f"{layer}_bn")
    for number, stage in enumerate(network.stages):
        for index in range(len(stage)):  # type: ignore[arg-type]
            kind = "improve" if index % 2 else "dense"
            layer = f"section_{number}_block_{index // 2}_{kind}"
            assembler.named(f"stages.{number}.{index}.norm", f"{layer}_bn")
            assembler.named(f"stages.{number}.{index}.conv", f"{layer}_binconv")
    for number in range(len(network.transitions)):
        assembler.named(f"transitions.{number}.norm", f"section_{number}_transition_bn")
        assembler.named(f"transitions.{number}.conv", f"section_{number}_transition_pw")
    assembler.named("norm", "head_bn")
    assembler.named("head", "head_dense")
    return assembler.finish()
