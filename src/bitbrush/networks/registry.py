"""Every network by name: what it is, who builds it, and what its authors measured.

Light on purpose: it imports no torch, so that commands can list and suggest names at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError, unknown_name

if TYPE_CHECKING:
    from .taps import Network

Kind = Literal["one-bit", "two-bit", "float"]


@dataclass(frozen=True)
class NetworkSpec:
    """A network that can be asked for by name.

    Attributes:
        kind: width of the activations of its quantized layers.
        family: the module in this package that holds it.
        builder: the function or class in that module; called with `pooling=` where `pools`.
        pools: whether maximum and average pooling can be interchanged in it.
        converters: for each weight-file format ("keras_h5", "mxnet_params", "state_dict"), the
            function in the family's module that turns the file's arrays into its parameters.
        top1, top5: published ImageNet accuracy in per cent, or None.
    """

    name: str
    kind: Kind
    family: str
    builder: str
    pools: bool = False
    converters: Mapping[str, str] = field(default_factory=dict)
    top1: float | None = None
    top5: float | None = None

    def build(self, pooling: Literal["max", "average"] | None = None) -> Network:
        """The network with freshly initialised weights.

        Raises:
            InputError: a pooling was asked of a network that has none.
        """
        if pooling is not None and not self.pools:
            raise InputError(f"{self.name} does not pool, so pooling {pooling!r} has no meaning")
        options: dict[str, Any] = {} if pooling is None else {"pooling": pooling}
        network: Network = self._member(self.builder)(**options)
        return network

    def converter(self, file_format: str) -> Callable[..., Any]:
        """The function (arrays, network) -> state dict for files of this format.

        Raises:
            InputError: the network has no files of that format.
        """
        if file_format not in self.converters:
            formats = ", ".join(self.converters) or "none"
            raise InputError(
                f"no {file_format} file holds {self.name}; it can be imported from: {formats}"
            )
        function: Callable[..., Any] = self._member(self.converters[file_format])
        return function

    def _member(self, name: str) -> Any:
        return getattr(importlib.import_module(f"bitbrush.networks.{self.family}"), name)


_KERAS = {"keras_h5": "from_keras"}
_TORCHVISION = {"state_dict": "from_torchvision"}
_MXNET = {"mxnet_params": "from_mxnet"}


def _densenet(name: str, builder: str, top1: float, top5: float) -> NetworkSpec:
    return NetworkSpec(name, "one-bit", "binary_densenet", builder, True, _KERAS, top1, top5)


NETWORKS: dict[str, NetworkSpec] = {
    spec.name: spec
    for spec in (
        NetworkSpec("quickbrush", "one-bit", "quickbrush", "QuickBrush"),
        NetworkSpec("quickbrush-small", "one-bit", "quickbrush", "quickbrush_small"),
        NetworkSpec("quickbrush-large", "one-bit", "quickbrush", "quickbrush_large"),
        NetworkSpec("quickbrush-float", "float", "quickbrush", "quickbrush_float"),
        NetworkSpec("quicknet", "one-bit", "quicknet", "quicknet", True, _KERAS, 58.6, 81.0),
        NetworkSpec(
            "quicknet-large", "one-bit", "quicknet", "quicknet_large", True, _KERAS, 62.7, 84.0
        ),
        NetworkSpec("quicknet-xl", "one-bit", "quicknet", "quicknet_xl", True, _KERAS, 67.0, 87.3),
        NetworkSpec(
            "quicknet-v1-small",
            "one-bit",
            "quicknet_v1",
            "quicknet_small",
            True,
            _KERAS,
            59.4,
            81.8,
        ),
        NetworkSpec("quicknet-v1", "one-bit", "quicknet_v1", "quicknet", True, _KERAS, 63.3, 84.6),
        NetworkSpec(
            "quicknet-v1-large",
            "one-bit",
            "quicknet_v1",
            "quicknet_large",
            True,
            _KERAS,
            66.9,
            87.0,
        ),
        NetworkSpec("xnornet", "one-bit", "xnornet", "XnorNet", True, _KERAS, 44.96, 69.18),
        NetworkSpec("dorefanet", "two-bit", "dorefanet", "DoReFaNet", True, _KERAS, 53.39, 76.5),
        NetworkSpec(
            "binary-alexnet",
            "one-bit",
            "binary_alexnet",
            "BinaryAlexNet",
            True,
            _KERAS,
            36.3,
            61.53,
        ),
        NetworkSpec("birealnet", "one-bit", "birealnet", "birealnet", True, _KERAS, 57.47, 79.84),
        NetworkSpec("resnet-e18", "one-bit", "birealnet", "resnet_e18", True, _KERAS, 58.32, 80.79),
        _densenet("binary-densenet28", "densenet28", 60.91, 82.83),
        _densenet("binary-densenet37", "densenet37", 62.89, 84.19),
        _densenet("binary-densenet37-dilated", "densenet37_dilated", 64.34, 85.15),
        _densenet("binary-densenet45", "densenet45", 64.59, 85.21),
        NetworkSpec(
            "realtobinary",
            "one-bit",
            "realtobinary",
            "RealToBinaryNet",
            True,
            _KERAS,
            65.01,
            85.72,
        ),
        NetworkSpec("meliusnet22", "one-bit", "meliusnet", "MeliusNet", True, _KERAS, 62.4, 83.9),
        NetworkSpec("resnet18-bmxnet", "one-bit", "resnet_bmxnet", "resnet18", True, _MXNET),
        NetworkSpec(
            "resnet18-bmxnet-fp1", "one-bit", "resnet_bmxnet", "resnet18_fp1", True, _MXNET
        ),
        NetworkSpec("vgg16", "float", "vgg", "vgg16", True, _TORCHVISION, 71.592, 90.382),
        NetworkSpec("vgg19", "float", "vgg", "vgg19", True, _TORCHVISION, 72.376, 90.876),
        NetworkSpec(
            "vgg19-16x", "float", "vgg", "vgg19_16x", True, {"state_dict": "from_converted"}
        ),
        NetworkSpec(
            "vgg19-normalised",
            "float",
            "vgg",
            "vgg19_normalised",
            True,
            {"state_dict": "from_converted"},
        ),
        NetworkSpec(
            "squeezenet", "float", "squeezenet", "SqueezeNet", True, _TORCHVISION, 58.178, 80.624
        ),
        NetworkSpec(
            "googlenet", "float", "googlenet", "GoogLeNet", True, _TORCHVISION, 69.778, 89.53
        ),
        NetworkSpec("inception-v3", "float", "inception", "InceptionV3", True, _KERAS, 77.9, 93.7),
        NetworkSpec("resnet50-v2", "float", "resnet_v2", "ResNetV2", True, _KERAS, 76.0, 93.0),
    )
}
"""The registry, in the order in which networks are listed."""


def network_spec(name: str) -> NetworkSpec:
    """The network of that name.

    Raises:
        InputError: there is none; the nearest name is suggested.
    """
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
    return NETWORKS[name]
