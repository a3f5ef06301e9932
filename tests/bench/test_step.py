"""The step that is timed does what a step of painting does."""

from __future__ import annotations

import pytest
import torch

from bitbrush.bench.step import VGG19, Engine, make_step, spread_taps
from bitbrush.networks.registry import network_spec
from bitbrush.style.target import StyleTarget

SMALL = "quicknet-v1-small"


@pytest.mark.parametrize(
    ("name", "taps"),
    [
        ("quickbrush", "stem stage1.block2 stage2.block3 stage3.block2 stage4.block3"),
        ("quicknet-v1", "stem stage1.block4 stage2.block4 stage3.block4 stage4.block4"),
        (VGG19, "relu1_1 relu2_1 relu3_1 relu4_1 relu5_1"),
    ],
)
def test_taps_are_spread_over_the_depth(name: str, taps: str) -> None:
    with torch.device("meta"):
        network = network_spec(name).build()
    assert spread_taps(network) == taps.split()


def test_vgg_ends_where_its_last_tap_is() -> None:
    network = Engine(VGG19, "float").load()
    assert list(network.taps)[-1] == "relu5_1"
    whole = {key.rpartition(".")[0] for key in network_spec(VGG19).build().state_dict()}
    assert {key.rpartition(".")[0] for key in network.state_dict()} < whole


def test_the_step_is_the_gradient_of_the_distances() -> None:
    engine = Engine(SMALL, "float")
    network = engine.load()
    got = make_step(engine, network, 48, 80)()["gradient"]
    random = torch.Generator().manual_seed(0)
    style = torch.rand(1, 3, 64, 64, generator=random)
    picture = torch.rand(1, 3, 48, 80, generator=random).requires_grad_(True)
    taps = spread_taps(network)
    ours, theirs = network(picture, taps), network(style, taps)
    loss = sum(StyleTarget(theirs[tap], "covariance").distance(ours[tap], random) for tap in taps)
    (expected,) = torch.autograd.grad(loss, picture)
    assert expected.abs().max() > 0
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=float(expected.abs().max()) * 1e-4)


@pytest.mark.parametrize("precision", ["float32", "bf16", "low-bit"])
def test_packed_engines_take_the_step(precision: str) -> None:
    engine = Engine(SMALL, "packed", precision)
    network = engine.load()
    assert (network.engine, network.precision) == ("packed", precision)
    gradient = make_step(engine, network, 64, 64)()["gradient"]
    assert gradient.shape == (1, 3, 64, 64)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_autocast_and_memory_layout_reach_the_network() -> None:
    seen = []
    engine = Engine(VGG19, "float", autocast=True, channels_last=True)
    network = engine.load()
    step = make_step(engine, network, 32, 32)
    first = network.convs["relu1_1"]
    first.register_forward_hook(lambda module, inputs, output: seen.append(output))
    step()
    assert seen[0].dtype == torch.bfloat16
    assert first.weight.is_contiguous(memory_format=torch.channels_last)
    assert "bf16" in engine.label
