"""Distances: 0 for what is the same, 1 for what they are relative to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.images import resize
from bitbrush.lab.judge import Case, Judge
from bitbrush.networks.registry import network_spec
from bitbrush.networks.taps import Network


@pytest.fixture(scope="module")
def judge() -> Judge:
    """SqueezeNet with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: Network = network_spec("squeezenet").build()
    return Judge(network.settle())


@pytest.fixture(scope="module")
def pictures() -> Callable[[int, int, int], Tensor]:
    def make(seed: int, height: int, width: int) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        coarse = torch.rand(1, 3, height // 8, width // 8, generator=random)
        return resize(coarse, height, width)

    return make


def test_its_taps_are_those_of_the_definition(judge: Judge) -> None:
    # torchvision's features.1, 4, 7, 10 and 12; content at features.7.
    assert judge.style_taps == (
        "stem",
        "stage1.block2",
        "stage2.block2",
        "stage3.block2",
        "stage3.block4",
    )
    assert judge.content_tap == "stage2.block2"


def test_content_and_style_are_at_their_ends(
    judge: Judge, pictures: Callable[[int, int, int], Tensor]
) -> None:
    content, style = pictures(1, 128, 160), pictures(2, 128, 160) * 0.5
    case = Case(judge, content, style, 128, 160)
    of_content, of_style = case.distances(content), case.distances(style)
    assert of_content.content == 0 and of_content.style == pytest.approx(1, abs=1e-4)
    assert of_style.style == 0 and of_style.content > 1e-3
    between = case.distances((content + style) / 2)
    assert 0 < between.style < 1 and 0 < between.content < of_style.content


def test_sources_of_other_sizes_are_resized(
    judge: Judge, pictures: Callable[[int, int, int], Tensor]
) -> None:
    content, style = pictures(1, 128, 160), pictures(2, 240, 96)
    case = Case(judge, content, style, 64, 80)
    assert case.content.shape[-2:] == (64, 80)
    assert case.style.shape[-2:] == (80, 32)
    assert case.distances(resize(content, 64, 80)).content == 0
    with pytest.raises(InputError, match="size"):
        case.distances(content)


def test_a_network_without_taps_is_no_judge() -> None:
    network = network_spec("squeezenet").build()
    network.name = "nobody"
    with pytest.raises(InputError, match="nobody"):
        Judge(network)
