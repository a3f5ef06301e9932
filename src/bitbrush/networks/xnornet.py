"""XNOR-Net's AlexNet as larq-zoo has it (Rastegari et al. 2016): no float shortcut anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Padding, Pool2d, PoolKind, QuantConv2d
from ..quantizers import Estimator, Sign, XnorScale
from .alexnet import TAPS
from .keras import KerasAssembler, KerasLayers, unscaled
from .taps import Network

WIDTHS = (96, 256, 384, 384, 256, 4096, 4096)
CLIP = 1.0


def _norm(channels: int, eps: float = 1e-4) -> nn.BatchNorm2d:
    return unscaled(nn.BatchNorm2d(channels, eps=eps, momentum=0.1))


def _conv(before: int, after: int, kernel: int, padding: Padding = "same") -> QuantConv2d:
    return QuantConv2d(
        before,
        after,
        kernel,
        padding=padding,
        input_quantizer=Sign(Estimator("ste", 1.0)),
        kernel_quantizer=XnorScale(),
        clip=CLIP,
    )


class XnorNet(Network):
    """A float 11x11 convolution, four one-bit convolutions with a tap each, and a head.

    Each tap is a batch norm's output, which the next layer binarises. The fully connected layers,
    one-bit too, are convolutions whose kernels cover the whole 6x6 map of a 224 px picture; they
    belong to the head and have no taps.

    Args:
        widths: channels of the convolution, the four one-bit ones and the two one-bit dense ones.
        classes: of the classifier.
        pooling: of all three pools.
    """

    def __init__(
        self,
        name: str = "xnornet",
        widths: Sequence[int] = WIDTHS,
        *,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        super().__init__(name, TAPS)
        stem, first, second, third, fourth, fifth, sixth = widths
        self.pool = Pool2d(3, 2, "valid", pooling)
        self.conv1 = Conv2d(3, stem, 11, 4)
        self.conv1_norm = _norm(stem, 1e-5)
        self.stem_norm = _norm(stem)
        self.conv2 = _conv(stem, first, 5)
        self.norm2 = _norm(first)
        self.conv3 = _conv(first, second, 3)
        self.norm3 = _norm(second)
        self.conv4 = _conv(second, third, 3)
        self.norm4 = _norm(third)
        self.conv5 = _conv(third, fourth, 3)
        self.norm5 = _norm(fourth)
        self.conv6 = _conv(fourth, fifth, 6, "valid")
        self.norm6 = _norm(fifth)
        self.conv7 = _conv(fifth, sixth, 1)
        self.norm7 = _norm(sixth, 1e-3)
        self.head = nn.Linear(sixth, classes, bias=False)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = functional.relu(self.conv1_norm(self.conv1(x)))
        x = self.stem_norm(self.pool(x))
        yield "stem", x
        x = self.norm2(self.pool(self.conv2(x)))
        yield "stage1.block1", x
        x = self.norm3(self.conv3(x))
        yield "stage1.block2", x
        x = self.norm4(self.conv4(x))
        yield "stage1.block3", x
        x = self.norm5(self.pool(self.conv5(x)))
        yield "stage2.block1", x
        x = self.norm7(self.conv7(self.norm6(self.conv6(x))))
        yield "logits", self.head(functional.relu(x).flatten(1))


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo (xnornet-v0.2) as this module's parameters.

    Args:
        layers: of a file with the classifier; 'notop' files stop before conv7.
        network: an XnorNet that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assembler = KerasAssembler(layers, network)
    assembler.conv("conv1")
    assembler.norm("conv1_norm")
    assembler.norm("stem_norm")
    for index in range(2, 8):
        assembler.conv(f"conv{index}")
        assembler.norm(f"norm{index}")
    assembler.dense("head")
    return assembler.finish()
