"""GoogLeNet with batch norms, as torchvision has it (Szegedy et al. 2014), without its side heads.

Every convolution has a batch norm and a relu behind it. Where the paper has 5x5 kernels torchvision
has 3x3 ones, and its weights were trained so. Pixels enter as 2 x - 1.

Taps are maps after relu: stem = conv1; stage1.block1 = conv3; stage2.block1, 2 = inception3a, 3b;
stage3.block1 … 5 = inception4a … 4e; stage4.block1, 2 = inception5a, 5b.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Pool2d, PoolKind
from .taps import Network, Tap, renamed

STEM = (64, 64, 192)
Widths = tuple[int, int, int, int, int, int]
# For each stage its modules' channels: 1x1; reduced, 3x3; reduced, "5x5"; behind the pool.
STAGES: Sequence[Sequence[Widths]] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


class ConvNorm(nn.Module):
    """A convolution, a batch norm and a relu."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = Conv2d(channels_in, channels_out, kernel, stride, kernel // 2)
        self.norm = nn.BatchNorm2d(channels_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)))


class Inception(nn.Module):
    """Four branches side by side, whose channels are put one after the other."""

    def __init__(self, channels_in: int, widths: Widths, pooling: PoolKind) -> None:
        super().__init__()
        one, reduced3, three, reduced5, five, pooled = widths
        self.one = ConvNorm(channels_in, one, 1)
        self.three_reduce = ConvNorm(channels_in, reduced3, 1)
        self.three = ConvNorm(reduced3, three, 3)
        self.five_reduce = ConvNorm(channels_in, reduced5, 1)
        self.five = ConvNorm(reduced5, five, 3)
        self.pool = Pool2d(3, 1, "same", pooling)
        self.pooled = ConvNorm(channels_in, pooled, 1)
        self.channels = one + three + five + pooled

    def forward(self, x: Tensor) -> Tensor:
        branches = (
            self.one(x),
            self.three(self.three_reduce(x)),
            self.five(self.five_reduce(x)),
            self.pooled(self.pool(x)),
        )
        return torch.cat(branches, dim=1)


class GoogLeNet(Network):
    """The network; see the module's text.

    Args:
        stages: for each stage its modules' channels.
        stem: channels of the three convolutions before them.
        classes: of the classifier.
        pooling: of all pools, those inside the modules too.
    """

    def __init__(
        self,
        name: str = "googlenet",
        pooling: PoolKind = "max",
        *,
        stem: Sequence[int] = STEM,
        stages: Sequence[Sequence[Widths]] = STAGES,
        classes: int = 1000,
    ) -> None:
        taps = {"stem": Tap(stride=2), "stage1.block1": Tap(stride=4)}
        for number, modules in enumerate(stages, 2):
            for index in range(1, len(modules) + 1):
                taps[f"stage{number}.block{index}"] = Tap(stride=2 ** (number + 1))
        taps["logits"] = Tap(stride=0)
        half = (0.5, 0.5, 0.5)
        super().__init__(name, taps, mean=half, std=half)
        self.conv1 = ConvNorm(3, stem[0], 7, 2)
        self.conv2 = ConvNorm(stem[0], stem[1], 1)
        self.conv3 = ConvNorm(stem[1], stem[2], 3)
        self.pool = Pool2d(3, 2, "ceil", pooling)
        self.last_pool = Pool2d(2, 2, "ceil", pooling)
        self.stages = nn.ModuleList()
        before = stem[2]
        for modules in stages:
            blocks = nn.ModuleList()
            for widths in modules:
                block = Inception(before, widths, pooling)
                blocks.append(block)
                before = block.channels
            self.stages.append(blocks)
        self.head = nn.Linear(before, classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.conv1(x)
        yield "stem", x
        x = self.conv3(self.conv2(self.pool(x)))
        yield "stage1.block1", x
        for number, stage in enumerate(self.stages, 2):
            x = self.last_pool(x) if number == len(self.stages) + 1 else self.pool(x)
            for block, module in enumerate(stage, 1):  # type: ignore[arg-type,var-annotated]
                x = module(x)
                yield f"stage{number}.block{block}", x
        yield "logits", self.head(x.mean((2, 3)))


def from_torchvision(arrays: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """torchvision's state dict as this module's parameters; its side heads are left out.

    Args:
        arrays: a torchvision state dict, with or without `aux1` and `aux2`; any float type, given
            back as float32.
        network: a GoogLeNet that they are for.
    Raises:
        InputError: an array is missing, has another shape, or is left over.
    """
    assert isinstance(network, GoogLeNet)
    branches = {
        "one": "branch1",
        "three_reduce": "branch2.0",
        "three": "branch2.1",
        "five_reduce": "branch3.0",
        "five": "branch3.1",
        "pooled": "branch4.1",
    }
    modules = {f"conv{index}": f"conv{index}" for index in (1, 2, 3)}
    for number, stage in enumerate(network.stages):
        for block in range(len(stage)):  # type: ignore[arg-type]
            theirs = f"inception{number + 3}{'abcdefgh'[block]}"
            for ours, branch in branches.items():
                modules[f"{theirs}.{branch}"] = f"stages.{number}.{block}.{ours}"
    layers = {"fc": "head"}
    for theirs, ours in modules.items():
        layers |= {f"{theirs}.conv": f"{ours}.conv", f"{theirs}.bn": f"{ours}.norm"}
    own = {key: value for key, value in arrays.items() if not key.startswith(("aux1.", "aux2."))}
    counters = {key for key in own if key.endswith(".num_batches_tracked")}
    # Counters are whole numbers, and predictions do not need them.
    return renamed({key: own[key] for key in own.keys() - counters}, layers, network)
