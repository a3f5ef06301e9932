"""DoReFa-Net's AlexNet as larq-zoo has it (Zhou et al. 2016): 2-bit maps, one-bit weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from torch import Tensor, nn

from ..layers import Conv2d, Pool2d, PoolKind, QuantConv2d, QuantLinear
from ..quantizers import DoReFa, MagnitudeAwareSign
from .keras import KerasAssembler, KerasLayers, unscaled
from .taps import Network, Tap

WIDTHS = (96, 256, 384, 384, 256, 4096, 4096)
BITS = 2
MAP = 6
"""Side of the deepest map at 224 px, which the dense layers take whole."""


def _conv(before: int, after: int, kernel: int) -> QuantConv2d:
    return QuantConv2d(
        before,
        after,
        kernel,
        input_quantizer=DoReFa(BITS),
        kernel_quantizer=MagnitudeAwareSign(clip=None, per_filter=False),
    )


def _dense(before: int, after: int) -> QuantLinear:
    return QuantLinear(
        before,
        after,
        input_quantizer=DoReFa(BITS),
        kernel_quantizer=MagnitudeAwareSign(clip=None, per_filter=False),
    )


def _norm(channels: int) -> nn.BatchNorm2d:
    return unscaled(nn.BatchNorm2d(channels, eps=1e-4, momentum=0.1))


def _dense_norm(channels: int) -> nn.BatchNorm1d:
    return unscaled(nn.BatchNorm1d(channels, eps=1e-4, momentum=0.1))


class DoReFaNet(Network):
    """A float 12x12 convolution, four quantized convolutions with a tap each, and a head.

    Each tap is the real-valued map before it is quantized to 2 bits; the stem's is the plain
    convolution. The latent weights have no bound. Dense layers belong to the head.

    Args:
        widths: channels of the convolution, the four quantized ones and the two dense ones.
        classes: of the classifier.
        pooling: of all three pools.
    """

    def __init__(
        self,
        name: str = "dorefanet",
        widths: Sequence[int] = WIDTHS,
        *,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        # The first convolution wants 12 px; the last pool, without border, three cells: 9 in
        # the stem, hence 12 + 8 * 4 px.
        taps = {
            "stem": Tap(stride=4, smallest=12),
            "stage1.block1": Tap(stride=8, smallest=12),
            "stage2.block1": Tap(stride=16, smallest=12),
            "stage2.block2": Tap(stride=16, smallest=12),
            "stage3.block1": Tap(stride=32, smallest=44),
            "logits": Tap(stride=0, smallest=224, size=224),
        }
        super().__init__(name, taps)
        stem, first, second, third, fourth, fifth, sixth = widths
        self.pool_same = Pool2d(3, 2, "same", pooling)
        self.pool_valid = Pool2d(3, 2, "valid", pooling)
        self.conv1 = Conv2d(3, stem, 12, 4, "valid", bias=True)
        self.conv2 = _conv(stem, first, 5)
        self.norm2 = _norm(first)
        self.conv3 = _conv(first, second, 3)
        self.norm3 = _norm(second)
        self.conv4 = _conv(second, third, 3)
        self.norm4 = _norm(third)
        self.conv5 = _conv(third, fourth, 3)
        self.norm5 = _norm(fourth)
        self.dense6 = _dense(fourth * MAP * MAP, fifth)
        self.norm6 = _dense_norm(fifth)
        self.dense7 = _dense(fifth, sixth)
        self.norm7 = _dense_norm(sixth)
        self.head = nn.Linear(sixth, classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.conv1(x)
        yield "stem", x
        x = self.pool_same(self.norm2(self.conv2(x)))
        yield "stage1.block1", x
        x = self.pool_same(self.norm3(self.conv3(x)))
        yield "stage2.block1", x
        x = self.norm4(self.conv4(x))
        yield "stage2.block2", x
        x = self.pool_valid(self.norm5(self.conv5(x)))
        yield "stage3.block1", x
        x = self.norm6(self.dense6(x.flatten(1)))
        x = self.norm7(self.dense7(x))
        yield "logits", self.head(x.clamp(0, 1))


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo (dorefanet-v0.1) as this module's parameters.

    Args:
        layers: of a file with the classifier; 'notop' files stop before the dense layers.
        network: a DoReFaNet that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assembler = KerasAssembler(layers, network)
    assembler.conv("conv1")
    for index in range(2, 6):
        assembler.conv(f"conv{index}")
        assembler.norm(f"norm{index}")
    channels = network.state_dict()["norm5.running_mean"].shape[0]
    assembler.dense("dense6", flattened=(channels, MAP, MAP))
    assembler.norm("norm6")
    assembler.dense("dense7")
    assembler.norm("norm7")
    assembler.dense("head")
    return assembler.finish()
