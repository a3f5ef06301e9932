"""Bi-RealNet-18 (Liu et al. 2018) and BinaryResNetE-18 (Bethge et al. 2019), as larq-zoo has them.

Sixteen one-bit 3x3 convolutions, each with a batch norm behind it and a float shortcut around both.
Where the map is halved, the shortcut is an average pool, a float 1x1 convolution and a batch norm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Pool2d, PoolKind, QuantConv2d
from ..quantizers import Estimator, MagnitudeAwareSign, Quantizer, Sign
from .keras import KerasAssembler, KerasLayers
from .taps import Network, Tap

WIDTHS = (64, 128, 256, 512)
BLOCKS = (4, 4, 4, 4)


@dataclass(frozen=True)
class Recipe:
    """In what the two networks differ.

    Attributes:
        input_quantizer, kernel_quantizer: makers of each layer's own.
        clip: bound of the latent weights.
        epsilon, momentum: of the batch norms.
        rectified: relu behind the stem's batch norm, with another batch norm behind its pool, and
            relu before the mean of the last map.
        padding: of the shortcuts' average pools.
    """

    input_quantizer: Callable[[], Quantizer]
    kernel_quantizer: Callable[[], Quantizer]
    clip: float
    epsilon: float
    momentum: float
    rectified: bool
    padding: Literal["same", "valid"]

    def norm(self, channels: int) -> nn.BatchNorm2d:
        """A batch norm of this network."""
        return nn.BatchNorm2d(channels, eps=self.epsilon, momentum=self.momentum)


BIREAL = Recipe(
    lambda: Sign(Estimator("approx")), MagnitudeAwareSign, 1.0, 1e-3, 0.2, False, "same"
)
RESNET_E = Recipe(
    lambda: Sign(Estimator("ste", 1.25)),
    lambda: Sign(Estimator("ste", 1.25)),
    1.25,
    1e-5,
    0.1,
    True,
    "valid",
)


class Shortcut(nn.Module):
    """Halves the map and changes its width, in floats."""

    def __init__(self, channels_in: int, channels_out: int, recipe: Recipe) -> None:
        super().__init__()
        self.pool = Pool2d(2, 2, recipe.padding, "average")
        self.conv = Conv2d(channels_in, channels_out, 1)
        self.norm = recipe.norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.conv(self.pool(x)))
        return result


class Block(nn.Module):
    """The shortcut of x, plus BN(one-bit 3x3 convolution of sign(x)).

    It halves the map where the widths differ.
    """

    def __init__(self, channels_in: int, channels_out: int, recipe: Recipe) -> None:
        super().__init__()
        halves = channels_in != channels_out
        self.conv = QuantConv2d(
            channels_in,
            channels_out,
            3,
            2 if halves else 1,
            input_quantizer=recipe.input_quantizer(),
            kernel_quantizer=recipe.kernel_quantizer(),
            clip=recipe.clip,
        )
        self.norm = recipe.norm(channels_out)
        self.shortcut = Shortcut(channels_in, channels_out, recipe) if halves else None

    def forward(self, x: Tensor) -> Tensor:
        before = x if self.shortcut is None else self.shortcut(x)
        result: Tensor = before + self.norm(self.conv(x))
        return result


class BiRealNet(Network):
    """The network; see the module's text.

    Taps are the pooled stem and each block's sum, all of which are binarised next, but the last.
    BinaryResNetE's shortcuts drop an odd row, unlike its convolutions, so its pictures are padded
    to multiples of the deepest stride.

    Args:
        recipe: which of the two.
        widths: channels of each stage, no two neighbours equal; the stem has those of the first.
        blocks: of each stage.
        classes: of the classifier.
        pooling: of the stem's one pool; those of the shortcuts are averages either way.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        *,
        widths: Sequence[int] = WIDTHS,
        blocks: Sequence[int] = BLOCKS,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        taps = {"stem": Tap(stride=4)}
        for stage, count in enumerate(blocks, 1):
            for block in range(1, count + 1):
                taps[f"stage{stage}.block{block}"] = Tap(stride=2 ** (stage + 1))
        taps["logits"] = Tap(stride=0)
        deepest = 2 ** (len(blocks) + 1)
        super().__init__(name, taps, multiple=deepest if recipe.padding == "valid" else 1)
        self.rectified = recipe.rectified
        self.stem = Conv2d(3, widths[0], 7, 2)
        self.stem_norm = recipe.norm(widths[0])
        self.pool = Pool2d(3, 2, "same", pooling)
        self.pool_norm = recipe.norm(widths[0]) if recipe.rectified else nn.Identity()
        self.stages = nn.ModuleList(
            nn.ModuleList(
                Block(before if block == 0 else width, width, recipe) for block in range(count)
            )
            for before, width, count in zip((widths[0], *widths[:-1]), widths, blocks, strict=True)
        )
        self.head = nn.Linear(widths[-1], classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.pool_norm(self.pool(self._activate(self.stem_norm(self.stem(x)))))
        yield "stem", x
        for number, stage in enumerate(self.stages, 1):
            for index, block in enumerate(cast("Iterable[Block]", stage), 1):
                x = block(x)
                yield f"stage{number}.block{index}", x
        yield "logits", self.head(self._activate(x).mean((2, 3)))

    def _activate(self, x: Tensor) -> Tensor:
        return functional.relu(x) if self.rectified else x


def birealnet(pooling: PoolKind = "max") -> BiRealNet:
    """Bi-RealNet-18: ApproxSign, and kernels scaled by each filter's mean magnitude."""
    return BiRealNet("birealnet", BIREAL, pooling=pooling)


def resnet_e18(pooling: PoolKind = "max") -> BiRealNet:
    """BinaryResNetE-18: plain signs with a window of 1.25, relu at both ends."""
    return BiRealNet("resnet-e18", RESNET_E, pooling=pooling)


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo (birealnet-v0.3, resnet_e-v0.1) as this module's parameters.

    Where a block halves the map, two batch norms of equal shape stand side by side; the shortcut's
    is the one with the lower number.

    Args:
        layers: of a file with the classifier; 'notop' files hold the same values without it.
        network: a BiRealNet that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assembler = KerasAssembler(layers, network)
    assembler.conv("stem")
    assembler.norm("stem_norm")
    if isinstance(network.pool_norm, nn.BatchNorm2d):
        assembler.norm("pool_norm")
    for name, module in network.named_modules():
        if not isinstance(module, Block):
            continue
        assembler.conv(f"{name}.conv")
        if module.shortcut is None:
            assembler.norm(f"{name}.norm")
            continue
        assembler.conv(f"{name}.shortcut.conv")
        assembler.norm_pair(f"{name}.shortcut.norm", f"{name}.norm")
    assembler.dense("head")
    return assembler.finish()
