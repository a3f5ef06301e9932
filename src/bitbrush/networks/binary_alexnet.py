"""BinaryAlexNet of larq-zoo (Hubara et al. 2016): every weight is one-bit, from first to last."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from torch import Tensor, nn

from ..layers import Padding, Pool2d, PoolKind, QuantConv2d
from ..quantizers import Estimator, Sign
from .alexnet import TAPS
from .keras import KerasAssembler, KerasLayers, unscaled
from .taps import Network

WIDTHS = (64, 192, 384, 384, 256, 4096, 4096)
CLIP = 1.0
MAP = 6
"""Side of the deepest map at 224 px, which the dense layers take whole."""


def _sign() -> Sign:
    return Sign(Estimator("ste", CLIP))


def _norm(channels: int) -> nn.BatchNorm2d:
    return unscaled(nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1))


class BinaryAlexNet(Network):
    """Five convolutions with a tap each, and three dense layers, each with a batch norm behind it.

    The first convolution has one-bit weights, but takes the picture as it is. Each tap is a batch
    norm's output, which the next layer binarises. The dense layers are convolutions whose first
    covers the whole 6x6 map of a 224 px picture; they are the head and have no taps.

    Args:
        widths: channels of the five convolutions and of the two hidden dense layers.
        classes: of the classifier.
        pooling: of all three pools.
    """

    def __init__(
        self,
        name: str = "binary-alexnet",
        widths: Sequence[int] = WIDTHS,
        *,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        super().__init__(name, TAPS)
        self.pool = Pool2d(3, 2, "valid", pooling)
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        kernels: Sequence[tuple[int, int, Padding]] = (
            (11, 4, "same"),
            (5, 1, "same"),
            (3, 1, "same"),
            (3, 1, "same"),
            (3, 1, "same"),
            (MAP, 1, "valid"),
            (1, 1, "same"),
            (1, 1, "same"),
        )
        before = 3
        for (kernel, stride, padding), after in zip(kernels, (*widths, classes), strict=True):
            self.convs.append(
                QuantConv2d(
                    before,
                    after,
                    kernel,
                    stride,
                    padding,
                    input_quantizer=None if before == 3 else _sign(),
                    kernel_quantizer=_sign(),
                    clip=CLIP,
                )
            )
            self.norms.append(_norm(after))
            before = after

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        layers = zip(self.convs, self.norms, strict=True)
        for tap in list(self.taps)[:-1]:
            conv, norm = next(layers)
            x = conv(x)
            x = norm(x if tap in ("stage1.block2", "stage1.block3") else self.pool(x))
            yield tap, x
        for conv, norm in layers:
            x = norm(conv(x))
        yield "logits", x.flatten(1)


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo (binary_alexnet-v0.3, or v0.2 with true dense layers) as our parameters.

    Args:
        layers: of a file with the classifier; 'notop' files stop before the dense layers.
        network: a BinaryAlexNet that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assembler = KerasAssembler(layers, network)
    for index in range(5):
        assembler.conv(f"convs.{index}")
        assembler.norm(f"norms.{index}")
    for index in range(5, 8):
        assembler.dense_as_conv(f"convs.{index}")
        assembler.norm(f"norms.{index}")
    return assembler.finish()
