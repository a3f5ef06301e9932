"""SqueezeNet v1.1, float.

Taps, after relu, grouped by the pools between them, with torchvision's index of each:
stem = features.1; stage1.block1, 2 = features.3, 4; stage2.block1, 2 = features.6, 7;
stage3.block1 … 4 = features.9, 10, 11, 12; logits = the mean of the class maps.

Source: Iandola et al. 2016; version 1.1 of the authors' repository, as in torchvision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Pool2d, PoolKind
from .taps import Network, Tap, renamed

STEM = 64
# For each stage the channels (squeezed, given out) of its fire modules.
FIRES = (
    ((16, 128), (16, 128)),
    ((32, 256), (32, 256)),
    ((48, 384), (48, 384), (64, 512), (64, 512)),
)
Fires = Sequence[Sequence[tuple[int, int]]]


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 ones side by side, each with relu.

    Args:
        squeezed: channels between.
        channels_out: half of them from each of the two kernels.
    """

    def __init__(self, channels_in: int, squeezed: int, channels_out: int) -> None:
        super().__init__()
        half = channels_out // 2
        self.squeeze = Conv2d(channels_in, squeezed, 1, bias=True)
        self.expand1x1 = Conv2d(squeezed, half, 1, bias=True)
        self.expand3x3 = Conv2d(squeezed, half, 3, padding=1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = functional.relu(self.squeeze(x))
        both = torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], dim=1)
        return functional.relu(both)


class SqueezeNet(Network):
    """The network; see the module's text.

    Args:
        fires: for each stage the channels (squeezed, given out) of its fire modules.
        classes: of the classifier.
        pooling: of the three pools, whose last partial windows count too.
    """

    def __init__(
        self,
        name: str = "squeezenet",
        pooling: PoolKind = "max",
        *,
        stem: int = STEM,
        fires: Fires = FIRES,
        classes: int = 1000,
    ) -> None:
        taps = {"stem": Tap(stride=2)}
        for stage, modules in enumerate(fires, 1):
            for block in range(1, len(modules) + 1):
                taps[f"stage{stage}.block{block}"] = Tap(stride=2 ** (stage + 1))
        taps["logits"] = Tap(stride=0)
        super().__init__(name, taps)
        self.pool = Pool2d(3, 2, "ceil", pooling)
        self.stem = Conv2d(3, stem, 3, 2, "valid", bias=True)
        self.stages = nn.ModuleList()
        before = stem
        for modules in fires:
            blocks = nn.ModuleList()
            for squeezed, width in modules:
                blocks.append(Fire(before, squeezed, width))
                before = width
            self.stages.append(blocks)
        self.classifier = Conv2d(before, classes, 1, bias=True)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = functional.relu(self.stem(x))
        yield "stem", x
        for index, stage in enumerate(self.stages, 1):
            x = self.pool(x)
            for block, fire in enumerate(cast("Iterable[Fire]", stage), 1):
                x = fire(x)
                yield f"stage{index}.block{block}", x
        yield "logits", functional.relu(self.classifier(x)).mean((2, 3))


def from_torchvision(arrays: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """torchvision's `features.N` and `classifier.1` as this module's parameters.

    Args:
        arrays: a torchvision state dict; any float type, given back as float32.
        network: a SqueezeNet that they are for.
    Raises:
        InputError: an array is missing, has another shape, or is left over.
    """
    layers = {"features.0": "stem", "classifier.1": "classifier"}
    index = 2
    for tap in network.taps:
        if not tap.startswith("stage"):
            continue
        stage, block = (int(part.lstrip("stageblock")) - 1 for part in tap.split("."))
        # A pool stands before each stage; fire modules, with relu inside, take one place.
        index += block == 0
        for part in ("squeeze", "expand1x1", "expand3x3"):
            layers[f"features.{index}.{part}"] = f"stages.{stage}.{block}.{part}"
        index += 1
    return renamed(arrays, layers, network)
