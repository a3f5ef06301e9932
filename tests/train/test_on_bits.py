"""Convolutions that are trained on bits, beside those that are trained in floats."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from bitbrush.engine.rounding import rounding_seed
from bitbrush.layers import QuantConv2d
from bitbrush.networks.cifar10_binarynet import Cifar10BinaryNet
from bitbrush.quantizers import Estimator, MagnitudeAwareSign, Sign
from bitbrush.train.on_bits import BitConv2d, fits, on_bits


def layer(**changed: Any) -> QuantConv2d:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "input_quantizer": Sign(Estimator("ste", 1.0)),
        "kernel_quantizer": Sign(Estimator("ste", 1.0)),
        "clip": 1.0,
    }
    made = QuantConv2d(70, 96, 3, **(given | changed))
    with torch.no_grad():
        # Some beyond what lets a gradient through.
        made.weight.mul_(20)
    return made


def passed(convolution: QuantConv2d, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The result, and the gradients of what went in and of the weights."""
    torch.manual_seed(1)
    x = x.clone().requires_grad_(True)
    result = convolution(x)
    with rounding_seed(7):
        result.backward(torch.randn(result.shape) * torch.rand(result.shape[1], 1, 1))
    assert x.grad is not None and convolution.weight.grad is not None
    return result.detach(), x.grad, convolution.weight.grad


def apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("pad_value", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("estimator", ["ste", "approx"])
def test_the_same_as_in_floats(pad_value: float, estimator: str) -> None:
    plain = layer(pad_value=pad_value, input_quantizer=Sign(Estimator(estimator, 1.25)))
    bits = BitConv2d(copy.deepcopy(plain))
    x = torch.randn(3, 70, 9, 11)
    result, back, weights = passed(bits, x)
    true_result, true_back, true_weights = passed(plain, x)
    assert torch.equal(result, true_result)
    assert apart(back, true_back) < 0.05
    assert apart(weights, true_weights) < 0.03
    assert (plain.weight.abs() > 1).any()
    assert not weights[plain.weight.abs() > 1].any()


def test_what_goes_in_may_need_no_gradient() -> None:
    bits = BitConv2d(layer())
    bits(torch.randn(1, 70, 5, 5)).sum().backward()
    assert bits.weight.grad is not None and bits.weight.grad.any()


def test_two_passes_add_up_their_gradients() -> None:
    bits, first, second = BitConv2d(layer()), torch.randn(2, 70, 6, 6), torch.randn(1, 70, 4, 5)
    (bits(first).sum() + bits(second).sum()).backward()
    both = bits.weight.grad
    alone = []
    for x in (first, second):
        bits.weight.grad = None
        bits(x).sum().backward()
        alone.append(bits.weight.grad)
    torch.testing.assert_close(both, alone[0] + alone[1])


def test_out_of_training_it_is_the_plain_layer() -> None:
    plain = layer()
    bits, x = BitConv2d(plain).eval(), torch.randn(1, 70, 6, 6)
    with torch.no_grad():
        assert torch.equal(bits(x), plain(x))
    result = bits(x)
    assert torch.equal(result.detach(), plain(x).detach())
    result.sum().backward()
    assert bits.weight.grad is not None and bits.weight.grad.any()
    assert bits.weight is plain.weight


@pytest.mark.parametrize(
    "changed",
    [
        {"stride": 2},
        {"padding": "valid"},
        {"dilation": 2},
        {"bias": True},
        {"input_quantizer": None},
        {"kernel_quantizer": MagnitudeAwareSign()},
    ],
)
def test_what_is_left_in_floats(changed: dict[str, Any]) -> None:
    assert fits(layer()) and not fits(layer(**changed))


def test_a_network_keeps_its_weights_and_their_names() -> None:
    network = Cifar10BinaryNet(1 / 16)
    names, weights = list(network.state_dict()), [id(p) for p in network.parameters()]
    assert on_bits(network) == 5
    assert list(network.state_dict()) == names
    assert [id(p) for p in network.parameters()] == weights
    assert sum(isinstance(module, BitConv2d) for module in network.modules()) == 5
    # Its float twin has nothing of the kind.
    assert on_bits(Cifar10BinaryNet(1 / 16, one_bit=False)) == 0
