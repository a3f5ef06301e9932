"""BinaryNet for CIFAR-10, as larq's documentation has it (Hubara et al. 2016): pictures of 32 px.

Six 3x3 convolutions and three dense layers, each followed by a batch norm without scale, every
weight one bit. All inputs are binarised but the picture itself. Pools come before the batch norms.
The only place without border is the first convolution, so the maps have sides 30, 15, 7 and 3.

The float twin has the same shapes, float weights, and a relu where this one has a sign.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from ..layers import Padding, Pool2d, QuantConv2d, QuantLinear
from ..quantizers import Estimator, Sign
from .keras import unscaled
from .taps import Network, Tap

NAME = "cifar10-binarynet"
SIZE = 32
MAP = 3
"""Side of the deepest map, which the dense layers take whole."""

EPSILON = 1e-3
MOMENTUM = 1e-3
"""Keras' momentum of 0.999."""

CLIP = 1.0


@dataclass(frozen=True)
class _Block:
    tap: str
    factor: int
    stride: int
    pools: bool


# Channels are `factor` times the base; the stride is that of the block's result.
_BLOCKS = (
    _Block("stem", 1, 1, False),
    _Block("stage1.block1", 1, 2, True),
    _Block("stage2.block1", 2, 2, False),
    _Block("stage2.block2", 2, 4, True),
    _Block("stage3.block1", 4, 4, False),
    _Block("stage3.block2", 4, 8, True),
)


class Cifar10BinaryNet(Network):
    """The network; see the module's text. Pixels enter as 2 x - 1.

    Taps are the batch norms' outputs, which the next layer binarises (or rectifies).

    Args:
        width: share of the channels, a multiple of 1/16.
        classes: of the classifier.
        one_bit: False makes the float twin.
    Raises:
        InputError: another width.
    """

    def __init__(self, width: float = 1.0, *, classes: int = 10, one_bit: bool = True) -> None:
        if not (width > 0 and (width * 16).is_integer()):
            raise InputError(f"the width must be a positive multiple of 1/16, not {width:g}")
        # Smaller pictures leave a later pool no whole window.
        smallest = {1: 4, 2: 4, 4: 6, 8: 10}
        taps = {b.tap: Tap(stride=b.stride, smallest=smallest[b.stride]) for b in _BLOCKS}
        taps["logits"] = Tap(stride=0, smallest=SIZE, size=SIZE)
        half = (0.5, 0.5, 0.5)
        super().__init__(NAME if one_bit else f"{NAME}-float", taps, mean=half, std=half)
        self.one_bit = one_bit
        base, dense = int(128 * width), int(1024 * width)
        self.pool = Pool2d(2, 2)
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        before = 3
        for index, block in enumerate(_BLOCKS):
            after = base * block.factor
            self.convolutions.append(self._conv(before, after, first=index == 0))
            self.norms.append(unscaled(nn.BatchNorm2d(after, EPSILON, MOMENTUM)))
            before = after
        self.dense, self.dense_norms = nn.ModuleList(), nn.ModuleList()
        before *= MAP * MAP
        for after in (dense, dense, classes):
            self.dense.append(self._dense(before, after))
            self.dense_norms.append(unscaled(nn.BatchNorm1d(after, EPSILON, MOMENTUM)))
            before = after

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        for index, (block, conv, norm) in enumerate(
            zip(_BLOCKS, self.convolutions, self.norms, strict=True)
        ):
            x = conv(self._activate(x) if index else x)
            x = norm(self.pool(x) if block.pools else x)
            yield block.tap, x
        x = x.flatten(1)
        for layer, norm in zip(self.dense, self.dense_norms, strict=True):
            x = norm(layer(self._activate(x)))
        yield "logits", x

    def _activate(self, x: Tensor) -> Tensor:
        # A quantized layer binarises what it is given.
        return x if self.one_bit else functional.relu(x)

    def _conv(self, before: int, after: int, first: bool) -> QuantConv2d:
        padding: Padding = "valid" if first else "same"
        if not self.one_bit:
            return QuantConv2d(before, after, 3, padding=padding)
        return QuantConv2d(
            before,
            after,
            3,
            padding=padding,
            input_quantizer=None if first else _sign(),
            kernel_quantizer=_sign(),
            clip=CLIP,
        )

    def _dense(self, before: int, after: int) -> QuantLinear:
        if not self.one_bit:
            return QuantLinear(before, after)
        return QuantLinear(
            before, after, input_quantizer=_sign(), kernel_quantizer=_sign(), clip=CLIP
        )


def _sign() -> Sign:
    return Sign(Estimator("ste", CLIP))
