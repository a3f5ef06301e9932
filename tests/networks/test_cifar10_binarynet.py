"""CIFAR-10's BinaryNet: larq's totals, sizes of maps, the float twin, and the packed engine."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bitbrush.engine.freeze import freeze
from bitbrush.errors import InputError
from bitbrush.layers import QUANTIZED_LAYERS
from bitbrush.networks.cifar10_binarynet import Cifar10BinaryNet
from bitbrush.networks.summary import summarise


def test_larqs_totals() -> None:
    with torch.device("meta"):
        summary = summarise(Cifar10BinaryNet(), 32)
    assert summary.weights == {1: 10_352_000, 32: 7_700}
    assert round(summary.mib, 2) == 1.26 and round(summary.mib_float32, 2) == 39.52
    assert round(summary.total_macs / 1e6) == 514
    assert round(summary.binary_macs_share, 4) == 0.9939


def test_maps_have_the_documented_sizes() -> None:
    network = Cifar10BinaryNet(1 / 16).eval()
    maps = network(torch.rand(2, 3, 32, 32), network.taps)
    sides = [value.shape[-1] for value in list(maps.values())[:-1]]
    assert sides == [30, 15, 15, 7, 7, 3]
    assert maps["logits"].shape == (2, 10)
    for name, tap in network.taps.items():
        side = tap.size or tap.smallest
        assert network(torch.rand(1, 3, side, side), [name])[name].numel() > 0


def test_the_picture_enters_between_minus_one_and_one() -> None:
    network = Cifar10BinaryNet(1 / 16)
    image = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    assert ((image - network.mean) / network.std)[0, 0, 0].tolist() == [-1, 0, 1]


def test_norms_are_keras() -> None:
    norms = [m for m in Cifar10BinaryNet(1 / 16).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 1e-3)}
    assert not any(norm.weight.requires_grad for norm in norms)


def test_the_float_twin_has_the_same_shapes_and_no_bits() -> None:
    ours, twin = Cifar10BinaryNet(1 / 16), Cifar10BinaryNet(1 / 16, one_bit=False)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in twin.state_dict().items()
    }
    assert summarise(twin, 32).weights.keys() == {32}
    layers = [module for module in twin.modules() if isinstance(module, QUANTIZED_LAYERS)]
    assert all(layer.clip is None for layer in layers)
    # It is no linear map: with signs turned, other numbers come.
    image = torch.rand(1, 3, 32, 32)
    first = twin.eval()(image, ["logits"])["logits"]
    assert not torch.allclose(first, -twin(1 - image, ["logits"])["logits"])


def test_packed_bits_give_the_same_logits() -> None:
    torch.manual_seed(0)
    network = Cifar10BinaryNet(0.5)
    images = torch.rand(8, 3, 32, 32)
    network.train()(images, ["logits"])
    network.settle()
    # The first norm's outputs may lie at zero, where rounding decides on a bit; so from there on.
    expected, found = (net(images, ["stem", "logits"]) for net in (network, freeze(network)))
    torch.testing.assert_close(found["stem"], expected["stem"], rtol=1e-4, atol=1e-4)
    same = (found["stem"] < 0) == (expected["stem"] < 0)
    whole = same.flatten(1).all(1)
    assert whole.any()
    torch.testing.assert_close(
        found["logits"][whole], expected["logits"][whole], rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("width", [0.0, -1.0, 0.3])
def test_other_widths_are_refused(width: float) -> None:
    with pytest.raises(InputError, match="1/16"):
        Cifar10BinaryNet(width)
