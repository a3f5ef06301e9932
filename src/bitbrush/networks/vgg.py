"""VGG-16 and VGG-19, and two published files that hold a VGG-19 in another form."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from ..layers import Pool2d, PoolKind
from .taps import IMAGENET_MEAN, IMAGENET_STD, Network, Tap, renamed

VGG16 = (2, 2, 3, 3, 3)
VGG19 = (2, 2, 4, 4, 4)
WIDTHS = (64, 128, 256, 512, 512)


class Vgg(Network):
    """Stages of 3x3 convolutions with relu, with a 2x2 pool between them.

    Taps are relu1_1, relu1_2, …, after the relu.

    Args:
        convs: convolutions of each stage.
        widths: channels of each stage.
        colour_conv: a 1x1 convolution of the RGB picture comes first (files converted from
            networks that took scaled BGR); the picture is then not normalised.
        padding_mode: "zeros", or "reflect" for the converted files.
        classes: of the classifier, behind pooling to 7x7; None leaves it out.
    """

    def __init__(
        self,
        name: str,
        convs: Sequence[int],
        widths: Sequence[int] = WIDTHS,
        *,
        colour_conv: bool = False,
        padding_mode: Literal["zeros", "reflect"] = "zeros",
        classes: int | None = None,
        pooling: PoolKind = "max",
    ) -> None:
        taps = {
            f"relu{stage}_{conv}": Tap(stride=2 ** (stage - 1))
            for stage, count in enumerate(convs, 1)
            for conv in range(1, count + 1)
        }
        layers = list(taps)
        if classes is not None:
            taps["logits"] = Tap(stride=0)
        super().__init__(
            name,
            taps,
            mean=(0.0, 0.0, 0.0) if colour_conv else IMAGENET_MEAN,
            std=(1.0, 1.0, 1.0) if colour_conv else IMAGENET_STD,
        )
        self.colour = nn.Conv2d(3, 3, 1) if colour_conv else None
        self.pool = Pool2d(2, 2, "valid", pooling)
        self.convs = nn.ModuleDict()
        before = 3
        for layer in layers:
            width = widths[int(layer[4]) - 1]
            self.convs[layer] = nn.Conv2d(before, width, 3, padding=1, padding_mode=padding_mode)
            before = width
        self.classifier: nn.ModuleList | None = None
        if classes is not None:
            self.classifier = nn.ModuleList(
                [nn.Linear(before * 49, 4096), nn.Linear(4096, 4096), nn.Linear(4096, classes)]
            )

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        if self.colour is not None:
            x = self.colour(x)
        for layer, conv in self.convs.items():
            if layer.endswith("_1") and layer != "relu1_1":
                x = self.pool(x)
            x = functional.relu(conv(x))
            yield layer, x
        if self.classifier is not None:
            x = functional.adaptive_avg_pool2d(self.pool(x), 7).flatten(1)
            first, second, last = self.classifier
            yield "logits", last(functional.relu(second(functional.relu(first(x)))))


def vgg16(pooling: PoolKind = "max") -> Vgg:
    """VGG-16 of torchvision (Simonyan and Zisserman 2014)."""
    return Vgg("vgg16", VGG16, classes=1000, pooling=pooling)


def vgg19(pooling: PoolKind = "max") -> Vgg:
    """VGG-19 of torchvision (Simonyan and Zisserman 2014)."""
    return Vgg("vgg19", VGG19, classes=1000, pooling=pooling)


def vgg19_16x(pooling: PoolKind = "max") -> Vgg:
    """VGG-19 to relu5_1 with a quarter of the channels (Collaborative Distillation 2020)."""
    return Vgg(
        "vgg19-16x",
        (2, 2, 4, 4, 1),
        (16, 32, 64, 128, 128),
        colour_conv=True,
        padding_mode="reflect",
        pooling=pooling,
    )


def vgg19_normalised(pooling: PoolKind = "max") -> Vgg:
    """VGG-19 to relu3_1 with activations scaled to mean 1 (Gatys et al. 2016)."""
    return Vgg(
        "vgg19-normalised",
        (2, 2, 1),
        (64, 128, 256),
        colour_conv=True,
        padding_mode="reflect",
        pooling=pooling,
    )


def from_torchvision(arrays: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """torchvision's `features.N` and `classifier.N` as this module's parameters.

    Args:
        arrays: a torchvision state dict; any float type, given back as float32.
        network: a Vgg that they are for.
    Raises:
        InputError: an array is missing, has another shape, or is left over.
    """
    names: dict[str, str] = {}
    index = 0
    for tap in network.taps:
        if tap == "logits":
            names |= {f"classifier.{at}": f"classifier.{n}" for n, at in enumerate((0, 3, 6))}
            continue
        # A convolution and its relu take two places, the pool before each further stage one.
        index += tap.endswith("_1") and tap != "relu1_1"
        names[f"features.{index}"] = f"convs.{tap}"
        index += 2
    return renamed(arrays, names, network)


def from_converted(arrays: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """conv0, conv11 or conv1_1, … of the two converted files as this module's parameters.

    Args:
        arrays: of one of the files; any float type, given back as float32.
        network: a Vgg with a colour convolution that they are for.
    Raises:
        InputError: an array is missing, has another shape, or is left over.
    """
    names = {"conv0": "colour"}
    underscored = any("_" in key for key in arrays)
    for tap in network.taps:
        digits = tap.removeprefix("relu")
        names[f"conv{digits if underscored else digits.replace('_', '')}"] = f"convs.{tap}"
    return renamed(arrays, names, network)
