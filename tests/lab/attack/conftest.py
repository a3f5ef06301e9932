"""Small networks with logits, and a picture, for the tests of attacks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import pytest
import torch
from torch import Tensor

from bitbrush.classify import prepare
from bitbrush.lab.attack.budget import eight_bit
from bitbrush.lab.attack.objective import Classifier
from bitbrush.lab.judge import Judge
from bitbrush.networks.registry import network_spec
from bitbrush.networks.resnet_bmxnet import ResNetBmxnet
from bitbrush.networks.taps import Network, Tap


def picture(seed: int) -> Tensor:
    """An 8-bit picture of coarse colours, 60 x 80."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 8, generator=random)
    return eight_bit(torch.nn.functional.interpolate(coarse, (60, 80), mode="bilinear"))


@pytest.fixture(scope="session")
def clean() -> Tensor:
    return picture(3)


@pytest.fixture(scope="session")
def one_bit() -> Classifier:
    """A residual network of four one-bit stages: random signs, batch norms of some pictures."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = ResNetBmxnet("resnet18-bmxnet", widths=(8, 8, 8, 8), classes=10)
        seen = torch.cat([prepare(picture(seed)) for seed in range(8)])
        with torch.no_grad():
            for _ in range(30):
                network(seen, ["logits"])
            network.classifier.weight.mul_(10)
    return Classifier(network.settle())


class Colours(Network):
    """A float one: its logits are a random linear map of the colours of 16 patches."""

    def __init__(self, classes: int = 10, seed: int = 0) -> None:
        super().__init__("colours", {"logits": Tap(stride=0)})
        random = torch.Generator().manual_seed(seed)
        self.weight = 3 * torch.randn(classes, 48, generator=random)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        yield "logits", torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ self.weight.T


@pytest.fixture(scope="session")
def colours() -> Callable[[int, int], Network]:
    """Makes one of so many classes from a seed."""
    return lambda classes, seed: Colours(classes, seed).settle()


@pytest.fixture(scope="session")
def floating() -> Classifier:
    return Classifier(Colours().settle())


@pytest.fixture(scope="session")
def judge() -> Judge:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = network_spec("squeezenet").build()
    return Judge(network.settle())
