"""QuickNet, QuickNetLarge and QuickNetXL of larq-zoo 1.0 (weight files v0.2, March 2020).

One-bit 3x3 convolutions with a float shortcut around each, in four sections at 1/4 to 1/32 of the
picture. The nets of the same name in larq-zoo 2 are others; see `quicknet_v1`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from ..layers import Conv2d, Pool2d, PoolKind, QuantConv2d
from ..quantizers import Estimator, Sign
from .gate import Gate
from .keras import KerasAssembler, KerasLayers
from .taps import Network, Tap

CLIP = 1.25
WIDTHS = (64, 128, 256, 512)
SQUEEZE = 16


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


class ConvBlock(nn.Module):
    """BN(relu(one-bit 3x3 convolution of sign(x))), times a gate that looks at x."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, gated: bool) -> None:
        super().__init__()
        self.conv = QuantConv2d(
            channels_in,
            channels_out,
            3,
            stride,
            input_quantizer=Sign(Estimator("ste", CLIP)),
            kernel_quantizer=Sign(Estimator("ste", CLIP)),
            pad_value=1.0,
            clip=CLIP,
        )
        self.norm = _norm(channels_out)
        self.gate = Gate(channels_in, channels_out, SQUEEZE) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(functional.relu(self.conv(x)))
        return y if self.gate is None else y * self.gate(x)


class Residual(nn.Module):
    """x + ConvBlock(x)."""

    def __init__(self, channels: int, gated: bool) -> None:
        super().__init__()
        self.block = ConvBlock(channels, channels, 1, gated)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.block(x)
        return result


class ConcatTransition(nn.Module):
    """Halves the map and doubles the channels: the pooled input r, beside r + ConvBlock(x)."""

    def __init__(self, channels: int, pooling: PoolKind, gated: bool) -> None:
        super().__init__()
        self.pool = Pool2d(2, 2, "valid", pooling)
        self.shortcut_norm = _norm(channels)
        self.block = ConvBlock(channels, channels, 2, gated)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut_norm(self.pool(x))
        return torch.cat((shortcut, shortcut + self.block(x)), dim=1)


class PointwiseTransition(nn.Module):
    """Halves the map and changes its width: a float 1x1 convolution of the pooled input, plus
    ConvBlock(x)."""

    def __init__(self, channels_in: int, channels_out: int, pooling: PoolKind, gated: bool) -> None:
        super().__init__()
        self.pool = Pool2d(2, 2, "valid", pooling)
        self.shortcut_conv = Conv2d(channels_in, channels_out, 1)
        self.shortcut_norm = _norm(channels_out)
        self.block = ConvBlock(channels_in, channels_out, 2, gated)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.shortcut_norm(self.shortcut_conv(self.pool(x))) + self.block(x)
        return result


class QuickNet(Network):
    """The network; see the module's text.

    The pooled shortcut and the strided convolution meet only where sizes are even, hence pictures
    are padded to multiples of the deepest stride, 32.

    Args:
        blocks: of each section; where the width changes, the first is a transition.
        widths: channels of each section; the stem gives the first.
        transition: "concat" (each width twice the one before) or "pointwise".
        gated: for each section, whether its blocks have gates.
        stem: channels of the first convolution, a divisor of the first width.
        classes: of the classifier.
        pooling: of the transitions.
    Raises:
        InputError: a concat transition between widths that do not double.
    """

    def __init__(
        self,
        name: str,
        blocks: Sequence[int],
        transition: Literal["concat", "pointwise"],
        gated: Sequence[bool],
        *,
        widths: Sequence[int] = WIDTHS,
        stem: int = 8,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        taps = {"stem": Tap(stride=4)}
        stride, width = 4, widths[0]
        stages = []
        for section, (count, after, gates) in enumerate(zip(blocks, widths, gated, strict=True), 1):
            layers: list[nn.Module] = []
            for block in range(1, count + 1):
                if width == after:
                    layers.append(Residual(width, gates))
                elif transition == "pointwise":
                    layers.append(PointwiseTransition(width, after, pooling, gates))
                    stride *= 2
                elif after == 2 * width:
                    layers.append(ConcatTransition(width, pooling, gates))
                    stride *= 2
                else:
                    raise InputError(f"a concat transition doubles {width} channels, not {after}")
                width = after
                taps[f"stage{section}.block{block}"] = Tap(stride=stride)
            stages.append(nn.ModuleList(layers))
        taps["logits"] = Tap(stride=0)
        super().__init__(name, taps, multiple=stride)
        self.stem_conv = Conv2d(3, stem, 3, 2)
        self.stem_depthwise = Conv2d(stem, widths[0], 3, 2, groups=stem)
        self.stem_norm = _norm(widths[0])
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(width, classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.stem_norm(functional.relu(self.stem_depthwise(self.stem_conv(x))))
        yield "stem", x
        for section, stage in enumerate(self.stages, 1):
            for block, layer in enumerate(stage, 1):  # type: ignore[arg-type,var-annotated]
                x = layer(x)
                yield f"stage{section}.block{block}", x
        yield "logits", self.head(functional.relu(x).mean((2, 3)))


def quicknet(pooling: PoolKind = "max") -> QuickNet:
    """QuickNet: 13 one-bit layers, concat transitions, no gates."""
    return QuickNet("quicknet", (2, 3, 4, 4), "concat", (False,) * 4, pooling=pooling)


def quicknet_large(pooling: PoolKind = "max") -> QuickNet:
    """QuickNetLarge: pointwise transitions, gates in the last two sections."""
    gated = (False, False, True, True)
    return QuickNet("quicknet-large", (4, 4, 4, 4), "pointwise", gated, pooling=pooling)


def quicknet_xl(pooling: PoolKind = "max") -> QuickNet:
    """QuickNetXL: as QuickNetLarge, with twice the blocks."""
    gated = (False, False, True, True)
    return QuickNet("quicknet-xl", (6, 8, 12, 6), "pointwise", gated, pooling=pooling)


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo 1.0.4 to 1.0.5 (quicknet*-v0.2, XL v0.1) as this module's parameters.

    In a transition the batch norms of the two paths have equal shapes, and which comes first in
    the file differs between networks; the shortcut's is the one with the lower number.

    Args:
        layers: of a file with the classifier; 'notop' files hold the same values without it.
        network: a QuickNet that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assembler = KerasAssembler(layers, network)
    assembler.conv("stem_conv")
    assembler.depthwise("stem_depthwise")
    assembler.norm("stem_norm")
    for name, module in network.named_modules():
        if not isinstance(module, Residual | ConcatTransition | PointwiseTransition):
            continue
        assembler.conv(f"{name}.block.conv")
        if module.block.gate is not None:
            assembler.dense(f"{name}.block.gate.reduce")
            assembler.dense(f"{name}.block.gate.expand")
        if isinstance(module, Residual):
            assembler.norm(f"{name}.block.norm")
            continue
        if isinstance(module, PointwiseTransition):
            assembler.conv(f"{name}.shortcut_conv")
        assembler.norm_pair(f"{name}.shortcut_norm", f"{name}.block.norm")
    assembler.dense("head")
    return assembler.finish()
