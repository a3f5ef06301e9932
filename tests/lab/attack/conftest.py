"""Tiny networks with logits, and pictures, for the tests of attacks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bitbrush.lab.attack.budget import eight_bit
from bitbrush.lab.attack.objective import Classifier
from bitbrush.networks.resnet_bmxnet import ResNetBmxnet
from bitbrush.networks.squeezenet import SqueezeNet


@pytest.fixture(scope="session")
def one_bit() -> Classifier:
    """A residual network of four one-bit stages and random weights, with logits of 1,000."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = ResNetBmxnet("resnet18-bmxnet", widths=(8, 8, 8, 8))
    return Classifier(network.settle())


@pytest.fixture(scope="session")
def floating() -> Classifier:
    """A float one."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = SqueezeNet("squeezenet", stem=8, fires=(((4, 8),), ((4, 16),), ((4, 16),)))
    return Classifier(network.settle())


@pytest.fixture(scope="session")
def clean() -> Tensor:
    """An 8-bit picture of coarse colours, 60 x 80."""
    random = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, 6, 8, generator=random)
    return eight_bit(torch.nn.functional.interpolate(coarse, (60, 80), mode="bilinear"))
