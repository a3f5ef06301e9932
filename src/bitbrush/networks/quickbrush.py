"""quickbrush: our own one-bit network, made for painting.

A float stem at full resolution, then four stages of one-bit residual blocks at 1/2, 1/4, 1/8 and
1/16. Every stage is entered through a blur and a small float 1x1 convolution, so that no grid is
born from striding. It is trained so that VGG-19's features are linear in its taps; whoever matches
mean and covariance of the taps then matches those of VGG-19.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from torch import Tensor, nn
from torch.nn import functional

from ..layers import BlurPool2d, QuantConv2d
from ..quantizers import Estimator, Sign
from .sections import Stage, walk_stage
from .taps import Network, Tap

CLIP = 1.25
STEM = 32
WIDTHS = (64, 128, 192, 256)
BLOCKS = (2, 3, 2, 3)
KERNEL = 3
"""Side of every convolution but the 1x1, and of the blur."""


class Block(nn.Module):
    """x + BN(relu(one-bit 3x3 convolution of sign(x))).

    Args:
        one_bit: False: of x itself, with float weights and a border of zeros.
    """

    def __init__(self, channels: int, one_bit: bool = True) -> None:
        super().__init__()
        self.conv = QuantConv2d(
            channels,
            channels,
            KERNEL,
            padding=KERNEL // 2,
            input_quantizer=Sign(Estimator("approx")) if one_bit else None,
            kernel_quantizer=Sign(Estimator("ste", CLIP)) if one_bit else None,
            pad_value=1.0 if one_bit else 0.0,
            clip=CLIP if one_bit else None,
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.norm(functional.relu(self.conv(x)))
        return result


class Transition(nn.Module):
    """Halves the map and changes its width: blur, float 1x1 convolution, batch norm.

    Args:
        rectified: of the relu of the map, which is what follows a block.
    """

    def __init__(self, channels_in: int, channels_out: int, rectified: bool) -> None:
        super().__init__()
        self.rectified = rectified
        self.blur = BlurPool2d(channels_in, "replicate")
        self.conv = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(x) if self.rectified else x
        result: Tensor = self.norm(self.conv(self.blur(x)))
        return result


class QuickBrush(Network):
    """The network; see the module's text.

    Args:
        stem: channels of the stem.
        widths: channels of each stage, multiples of 64.
        blocks: residual blocks of each stage, at least one.
        one_bit: see `Block`; also an attribute.
    """

    def __init__(
        self,
        name: str = "quickbrush",
        stem: int = STEM,
        widths: Sequence[int] = WIDTHS,
        blocks: Sequence[int] = BLOCKS,
        one_bit: bool = True,
    ) -> None:
        # Each kernel lies around its position, and adds half its side of what it looks at.
        reach = KERNEL // 2
        taps = {"stem": Tap(stride=1, reach=reach)}
        for stage, count in enumerate(blocks, 1):
            reach += KERNEL // 2 * 2 ** (stage - 1)  # the transition's blur
            for block in range(1, count + 1):
                reach += KERNEL // 2 * 2**stage
                taps[f"stage{stage}.block{block}"] = Tap(stride=2**stage, reach=reach)
        super().__init__(name, taps)
        self.one_bit = one_bit
        # relu before the batch norm: the tap is then an affine map of a rectified convolution,
        # in which VGG's own first layer is nearly linear.
        self.stem = nn.Conv2d(3, stem, KERNEL, padding=KERNEL // 2, padding_mode="replicate")
        self.stem_relu = nn.ReLU()
        self.stem_norm = nn.BatchNorm2d(stem)
        self.transitions = nn.ModuleList(
            Transition(before, after, rectified=index > 0)
            for index, (before, after) in enumerate(zip((stem, *widths[:-1]), widths, strict=True))
        )
        self.stages = nn.ModuleList(
            Stage(Block(width, one_bit) for _ in range(count))
            for width, count in zip(widths, blocks, strict=True)
        )

    def stage_ends(self) -> list[str]:
        """The tap of each stage's last block."""
        return [f"stage{n}.block{len(stage)}" for n, stage in enumerate(self.stages, 1)]  # type: ignore[arg-type]

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.stem_norm(self.stem_relu(self.stem(x)))
        yield "stem", x
        for index, (transition, stage) in enumerate(
            zip(self.transitions, self.stages, strict=True), 1
        ):
            x = transition(x)
            for name, value in walk_stage(stage, x, index, self.taps, wanted, True):
                x = value
                yield name, x


def quickbrush_small() -> QuickBrush:
    """For phones: a quarter of the bytes."""
    return QuickBrush("quickbrush-small", stem=16, widths=(64, 64, 64, 128), blocks=(1, 3, 3, 3))


def quickbrush_large() -> QuickBrush:
    """For those who want the best: twice the channels where VGG-19 is hardest to tell."""
    return QuickBrush("quickbrush-large", widths=(128, 256, 192, 256))


def quickbrush_float() -> QuickBrush:
    """The same without bits: what one bit costs is told by comparing with it."""
    return QuickBrush("quickbrush-float", one_bit=False)
