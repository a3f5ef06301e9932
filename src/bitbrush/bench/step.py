"""One step of painting, reduced to what every network has to do in it.

The picture's five taps, spread over the depth; at each the distance of mean and covariance from
those of a style; the gradient of their sum to the picture. No content, palette or smoothness: these
cost the same with every network. Weights and pictures are random, which changes no time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from ..engine.profiling import seen_as
from ..networks.registry import network_spec
from ..networks.taps import Network
from ..networks.vgg import Vgg
from ..style.defaults import DEFAULTS
from ..style.losses import StyleTerm
from ..style.settings import parse_taps
from ..style.tap_loss import tap_loss
from ..style.target import StyleTarget
from ..weights.loading import load_network

VGG19 = "vgg19"
VGG19_UP_TO_RELU5_1 = (2, 2, 4, 4, 1)

STYLE_SIZE = 64
"""Side of the style picture: its statistics are as large at any size."""


@dataclass(frozen=True)
class Engine:
    """A network and how it is computed.

    Attributes:
        network: its name.
        engine: "packed" or "float".
        precision: of the packed engine's gradient.
        autocast: whether a float network runs in bfloat16 where torch's autocast has it so.
        channels_last: whether picture and weights of a float network lie that way.
    """

    network: str
    engine: str = "packed"
    precision: str = "auto"
    autocast: bool = False
    channels_last: bool = False

    @property
    def label(self) -> str:
        """For people to read."""
        if self.network == VGG19:
            return f"VGG-19 {'bf16 (autocast)' if self.autocast else 'float32'}"
        if self.engine == "float":
            return f"{self.network} float engine"
        return f"{self.network} packed, {self.precision}"

    def load(self) -> Network:
        """The network with random weights; of VGG-19, as much as relu5_1 needs."""
        if self.network == VGG19:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network: Network = Vgg(VGG19, VGG19_UP_TO_RELU5_1).settle()
        else:
            network = load_network(
                self.network,
                "none",
                engine=self.engine,
                precision=self.precision if self.engine == "packed" else "auto",
            )
        return network.to(memory_format=torch.channels_last) if self.channels_last else network  # type: ignore[call-overload]


def spread_taps(network: Network) -> list[str]:
    """Taps spread over the depth of a network.

    Those that it is painted with if it is a float one; else the last of every stage.
    """
    if network_spec(network.name).kind == "float":
        return list(parse_taps(DEFAULTS[network.name].style_taps))
    last = {
        name.partition(".")[0]: name
        for name, tap in network.taps.items()
        if tap.stride and tap.size is None
    }
    return list(last.values())


def make_step(
    engine: Engine, network: Network, height: int, width: int
) -> Callable[[], dict[str, Tensor]]:
    """A function that does one step and returns the gradient to the picture, by "gradient".

    Args:
        engine: as which the network was loaded.
        height, width: of the picture, in pixels.
    """
    taps = spread_taps(network)
    random = torch.Generator().manual_seed(0)
    style = torch.rand(1, 3, STYLE_SIZE, STYLE_SIZE, generator=random)
    picture = torch.rand(1, 3, height, width, generator=random)
    if engine.channels_last:
        picture = picture.to(memory_format=torch.channels_last)
    with torch.no_grad():
        terms = {
            tap: StyleTerm(tap, 1.0, StyleTarget(map_, "covariance"))
            for tap, map_ in network(style, taps).items()
        }

    def step() -> dict[str, Tensor]:
        leaf = picture.detach().requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16) if engine.autocast else nullcontext():
            maps = network(leaf, taps)
        overwrite, parts = not network.keeps_taps, dict[str, float]()
        half = network.precision != "float32"
        with seen_as("statistics"):
            losses = [
                tap_loss(maps.pop(tap), [term], random, parts, overwrite=overwrite, half=half)
                for tap, term in terms.items()
            ]
            loss = torch.stack(losses).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
        return {"gradient": gradient}

    return step
