"""QuickNetSmall, QuickNet and QuickNetLarge of larq-zoo 2 (weight files v1.0, arXiv 2011.09398).

One-bit residual blocks as in `quicknet`, with another stem, and with transitions that are float
throughout: relu, a dense 2x2 pool, a fixed blur at stride 2, a 1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Pool2d, PoolKind, QuantConv2d
from ..quantizers import Estimator, Sign
from .keras import KerasAssembler, KerasLayers
from .sections import Stage, walk_stage
from .taps import Network, Tap

CLIP = 1.25
WIDTHS = (64, 128, 256, 512)


class Stem(nn.Module):
    """3 -> F/4 channels at 1/2, depthwise to 1/4, 1x1 convolution to F, each with a batch norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = Conv2d(3, width // 4, 3, 2)
        self.norm = nn.BatchNorm2d(width // 4, eps=1e-3, momentum=0.01)
        self.depthwise = Conv2d(width // 4, width // 4, 3, 2, groups=width // 4)
        self.depthwise_norm = nn.BatchNorm2d(width // 4, eps=1e-3, momentum=0.01, affine=False)
        self.pointwise = Conv2d(width // 4, width, 1)
        self.pointwise_norm = nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.conv(x)))
        result: Tensor = self.pointwise_norm(self.pointwise(self.depthwise_norm(self.depthwise(x))))
        return result


class Block(nn.Module):
    """x + BN(relu(one-bit 3x3 convolution of sign(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = QuantConv2d(
            channels,
            channels,
            3,
            input_quantizer=Sign(Estimator("ste", CLIP)),
            kernel_quantizer=Sign(Estimator("ste", CLIP)),
            pad_value=1.0,
            clip=CLIP,
        )
        self.norm = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.norm(functional.relu(self.conv(x)))
        return result


class Transition(nn.Module):
    """Halves the map and changes its width, without a one-bit layer.

    The blur is [1 2 1] x [1 2 1] / 16 and not trained. It is a layer with a kernel of its own
    because the weight files hold it, and because its border depends on the size ('same').
    """

    def __init__(self, channels_in: int, channels_out: int, pooling: PoolKind) -> None:
        super().__init__()
        self.pool = Pool2d(2, 1, "valid", pooling)
        self.blur = Conv2d(channels_in, channels_in, 3, 2, groups=channels_in)
        self.pointwise = Conv2d(channels_in, channels_out, 1)
        self.norm = nn.BatchNorm2d(channels_out, eps=1e-5, momentum=0.1)
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        with torch.no_grad():
            self.blur.weight.copy_(torch.outer(row, row).expand_as(self.blur.weight))
        self.blur.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(functional.relu(x))
        result: Tensor = self.norm(self.pointwise(self.blur(pooled)))
        return result


class QuickNetV1(Network):
    """The network; see the module's text.

    Args:
        blocks: residual blocks of each section, at least one.
        widths: channels of each section, the first a multiple of 4; a section is entered through
            a transition where its width is not the one before.
        classes: of the classifier.
        pooling: of the transitions.
    """

    def __init__(
        self,
        name: str,
        blocks: Sequence[int],
        widths: Sequence[int] = WIDTHS,
        *,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        # A kernel at stride 2 under 'same' padding may lie wholly to one side of its position.
        reach = 2 + 2 * 2
        taps = {"stem": Tap(stride=4, reach=reach)}
        stride = 4
        transitions: list[nn.Module] = []
        for section, (before, after, count) in enumerate(
            zip((widths[0], *widths[:-1]), widths, blocks, strict=True), 1
        ):
            if before == after:
                transitions.append(nn.Identity())
            else:
                transitions.append(Transition(before, after, pooling))
                reach += (1 + 2) * stride  # of the pool and the blur
                stride *= 2
            for block in range(1, count + 1):
                reach += stride
                taps[f"stage{section}.block{block}"] = Tap(stride=stride, reach=reach)
        taps["logits"] = Tap(stride=0)
        super().__init__(name, taps)
        self.stem = Stem(widths[0])
        self.transitions = nn.ModuleList(transitions)
        self.stages = nn.ModuleList(
            Stage(Block(width) for _ in range(count))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.head = nn.Linear(widths[-1], classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.stem(x)
        yield "stem", x
        for section, (transition, stage) in enumerate(
            zip(self.transitions, self.stages, strict=True), 1
        ):
            owned = isinstance(transition, Transition) or "stem" not in wanted
            maps = walk_stage(stage, transition(x), section, self.taps, wanted, owned)
            for name, value in maps:
                x = value
                yield name, x
        yield "logits", self.head(functional.relu(x).mean((2, 3)))


def quicknet_small(pooling: PoolKind = "max") -> QuickNetV1:
    """QuickNetSmall: half the width in the first two sections."""
    return QuickNetV1("quicknet-v1-small", (4, 4, 4, 4), (32, 64, 256, 512), pooling=pooling)


def quicknet(pooling: PoolKind = "max") -> QuickNetV1:
    """QuickNet of larq-zoo 2."""
    return QuickNetV1("quicknet-v1", (4, 4, 4, 4), pooling=pooling)


def quicknet_large(pooling: PoolKind = "max") -> QuickNetV1:
    """QuickNetLarge of larq-zoo 2: twice the blocks."""
    return QuickNetV1("quicknet-v1-large", (6, 8, 12, 6), pooling=pooling)


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo 2 (quicknet*-v1.0) as this module's parameters.

    Args:
        layers: of a file with the classifier; 'notop' files hold the same values without it.
        network: a QuickNetV1 that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assembler = KerasAssembler(layers, network)
    assembler.conv("stem.conv")
    assembler.norm("stem.norm")
    assembler.depthwise("stem.depthwise")
    assembler.norm("stem.depthwise_norm")
    assembler.conv("stem.pointwise")
    assembler.norm("stem.pointwise_norm")
    sections = sorted({int(key.split(".")[1]) for key in network.state_dict() if "stages." in key})
    modules = dict(network.named_modules())
    for section in sections:
        transition = f"transitions.{section}"
        if isinstance(modules[transition], Transition):
            assembler.depthwise(f"{transition}.blur")
            assembler.conv(f"{transition}.pointwise")
            assembler.norm(f"{transition}.norm")
        for name in modules:
            if name.startswith(f"stages.{section}.") and isinstance(modules[name], Block):
                assembler.conv(f"{name}.conv")
                assembler.norm(f"{name}.norm")
    assembler.dense("head")
    return assembler.finish()
