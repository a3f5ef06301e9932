"""ResNet50V2 of Keras (He et al. 2016, "Identity Mappings"): batch norm and relu come first.

Pixels enter as 2 x - 1. Unlike the paper's, Keras' stages halve the map in their last block.

Taps. A block begins with a batch norm and a relu of the sum that it is given; so the tap of a block
is that map of its follower, which is what the follower convolves: stage1.block3 is at stride 8, as
stage 2 is. The stem's is the first block's; the last is behind the last batch norm and relu.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Pool2d, PoolKind
from .keras import KerasAssembler, KerasLayers
from .taps import Network, Tap

EPSILON = 1.001e-5
STEM = 64
BLOCKS = (3, 4, 6, 3)
EXPANSION = 4


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=0.01)


class Block(nn.Module):
    """Three convolutions, with a batch norm and a relu before each, and a shortcut.

    Args:
        width: channels of the first two; the third gives four times as many.
        projects: the shortcut is a 1x1 convolution of the activated map, not the sum itself.
    """

    def __init__(self, channels_in: int, width: int, stride: int, projects: bool) -> None:
        super().__init__()
        self.norm = _norm(channels_in)
        self.shortcut = (
            Conv2d(channels_in, EXPANSION * width, 1, stride, bias=True) if projects else None
        )
        self.conv1 = Conv2d(channels_in, width, 1)
        self.norm1 = _norm(width)
        self.conv2 = Conv2d(width, width, 3, stride, 1)
        self.norm2 = _norm(width)
        self.conv3 = Conv2d(width, EXPANSION * width, 1, bias=True)
        self.stride = stride

    def enter(self, total: Tensor) -> Tensor:
        """What the first convolution takes: the incoming sum, normalised and rectified."""
        return functional.relu(self.norm(total))

    def forward(self, total: Tensor, entered: Tensor) -> Tensor:
        """The outgoing sum, from the incoming one and what `enter` made of it."""
        if self.shortcut is not None:
            before = self.shortcut(entered)
        else:
            before = total[:, :, :: self.stride, :: self.stride]
        x = functional.relu(self.norm1(self.conv1(entered)))
        x = functional.relu(self.norm2(self.conv2(x)))
        result: Tensor = before + self.conv3(x)
        return result


class ResNetV2(Network):
    """The network; see the module's text.

    Args:
        blocks: of each stage.
        stem: channels of the stem and width of the first stage; each further one has twice as many.
        classes: of the classifier.
        pooling: of the stem's one pool.
    """

    def __init__(
        self,
        name: str = "resnet50-v2",
        pooling: PoolKind = "max",
        *,
        blocks: Sequence[int] = BLOCKS,
        stem: int = STEM,
        classes: int = 1000,
    ) -> None:
        taps = {"stem": Tap(stride=4)}
        half = (0.5, 0.5, 0.5)
        stride, before, width = 4, stem, stem
        stages: list[nn.Module] = []
        for stage, count in enumerate(blocks, 1):
            made = []
            for index in range(1, count + 1):
                step = 2 if index == count and stage < len(blocks) else 1
                made.append(Block(before, width, step, index == 1))
                stride, before = stride * step, EXPANSION * width
                taps[f"stage{stage}.block{index}"] = Tap(stride=stride)
            stages.append(nn.ModuleList(made))
            width *= 2
        taps["logits"] = Tap(stride=0)
        super().__init__(name, taps, mean=half, std=half)
        self.stem = Conv2d(3, stem, 7, 2, 3, bias=True)
        self.pool = Pool2d(3, 2, "valid", pooling)
        self.stages = nn.ModuleList(stages)
        self.norm = _norm(before)
        self.head = nn.Linear(before, classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        # The zeros around the pool count, though there are values below them.
        total = self.pool(functional.pad(self.stem(x), (1, 1, 1, 1)))
        tap = "stem"
        for number, stage in enumerate(self.stages, 1):
            for index, block in enumerate(cast("Iterable[Block]", stage), 1):
                entered = block.enter(total)
                yield tap, entered
                total = block(total, entered)
                tap = f"stage{number}.block{index}"
        x = functional.relu(self.norm(total))
        yield tap, x
        yield "logits", self.head(x.mean((2, 3)))


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of tf.keras.applications.ResNet50V2 as this module's parameters.

    Its layers have names of their own; that of the classifier has changed over the years.

    Args:
        layers: of a file with the classifier.
        network: a ResNetV2 that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    assert isinstance(network, ResNetV2)
    assembler = KerasAssembler(layers, network)
    assembler.named("stem", "conv1_conv")
    parts = {"conv1": "1_conv", "norm1": "1_bn", "conv2": "2_conv", "norm2": "2_bn"}
    parts |= {"norm": "preact_bn", "shortcut": "0_conv", "conv3": "3_conv"}
    for number, stage in enumerate(network.stages):
        for index, block in enumerate(cast("Iterable[Block]", stage)):
            for ours, theirs in parts.items():
                if ours != "shortcut" or block.shortcut is not None:
                    layer = f"conv{number + 2}_block{index + 1}_{theirs}"
                    assembler.named(f"stages.{number}.{index}.{ours}", layer)
    assembler.named("norm", "post_bn")
    assembler.dense("head")
    return assembler.finish()
