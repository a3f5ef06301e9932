"""Quantizers against larq's numbers (tools/goldens/quantizers.py), and what larq has not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.quantizers import (
    DoReFa,
    DoReFaWeights,
    Estimator,
    Heaviside,
    MagnitudeAwareSign,
    Quantizer,
    Sign,
    Ternary,
    XnorScale,
    image_estimator,
    sign,
)

with np.load(Path(__file__).parent / "golden" / "quantizers.npz") as file:
    GOLDEN = {key: torch.from_numpy(file[key]) for key in file.files}

ACTIVATIONS: dict[str, Callable[[], Quantizer]] = {
    "ste_0.5": lambda: Sign(Estimator("ste", 0.5)),
    "ste_1": lambda: Sign(),
    "ste_1.25": lambda: Sign(Estimator("ste", 1.25)),
    "ste_1.3": lambda: Sign(Estimator("ste", 1.3)),
    "identity": lambda: Sign(Estimator("identity")),
    "approx": lambda: Sign(Estimator("approx")),
    "swish": lambda: Sign(Estimator("swish")),
    "heaviside": lambda: Heaviside(),
    "ternary": lambda: Ternary(),
    "ternary_wide": lambda: Ternary(threshold=0.25, clip=1.3),
    "dorefa_1": lambda: DoReFa(1),
    "dorefa_2": lambda: DoReFa(2),
    "dorefa_4": lambda: DoReFa(4),
}
KERNELS: dict[str, Callable[[], Quantizer]] = {
    "magnitude": lambda: MagnitudeAwareSign(),
    "magnitude_1.3": lambda: MagnitudeAwareSign(clip=1.3),
    "magnitude_unclipped": lambda: MagnitudeAwareSign(clip=None),
    "magnitude_layer": lambda: MagnitudeAwareSign(clip=None, per_filter=False),
    "xnor": lambda: XnorScale(),
    "ternary_relative": lambda: Ternary(relative=True),
    "dorefa_weights_1": lambda: DoReFaWeights(1),
    "dorefa_weights_2": lambda: DoReFaWeights(2),
    "dorefa_weights_4": lambda: DoReFaWeights(4),
}


def apply(quantizer: Quantizer, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    result = quantizer(x)
    (gradient,) = torch.autograd.grad(result, x, upstream)
    return result.detach(), gradient


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_the_grid_holds_the_hard_cases() -> None:
    x = GOLDEN["x"]
    assert (x == 0).sum() >= 2
    assert x.abs().max() == 1e4
    for edge in (1.0, 1.25, 1.3):
        clip = torch.tensor(edge)
        for value in (clip, -clip, torch.nextafter(clip, torch.tensor(2.0))):
            assert (x == value).any()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_quantizers_equal_larqs(name: str) -> None:
    value, gradient = apply(ACTIVATIONS[name](), GOLDEN["x"], GOLDEN["x_upstream"])
    assert_close(value, GOLDEN[f"{name}/value"])
    assert_close(gradient, GOLDEN[f"{name}/gradient"])


def test_a_wide_swish_is_larqs_with_a_smaller_beta_scaled_to_its_height() -> None:
    # larq's factor has height beta; ours keeps that of width 1.
    value, gradient = apply(Sign(Estimator("swish", 2.0)), GOLDEN["x"], GOLDEN["x_upstream"])
    assert_close(value, GOLDEN["swish_width_2/value"])
    assert_close(gradient, 2 * GOLDEN["swish_width_2/gradient"])


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_quantizers_equal_larqs(name: str) -> None:
    kernel, upstream = (GOLDEN[key].permute(3, 2, 0, 1) for key in ("kernel", "kernel_upstream"))
    value, gradient = apply(KERNELS[name](), kernel, upstream)
    assert_close(value, GOLDEN[f"{name}/value"].permute(3, 2, 0, 1))
    assert_close(gradient, GOLDEN[f"{name}/gradient"].permute(3, 2, 0, 1))


@pytest.mark.parametrize("name", ["magnitude", "magnitude_layer", "xnor"])
def test_kernel_quantizers_are_idempotent(name: str) -> None:
    kernel = torch.randn(4, 5, 3, 3, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    once = KERNELS[name]()(kernel)
    assert_close(KERNELS[name]()(once), once)


def test_sign_has_no_zero() -> None:
    assert sign(torch.tensor([-1e-30, -0.0, 0.0, 1e-30])).tolist() == [-1, 1, 1, 1]
    assert sign(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("width", [0.25, 1.0, 4.0])
def test_ede_is_irnets_formula(width: float) -> None:
    x = torch.linspace(-6, 6, 49, dtype=torch.float64)
    t = 1 / width
    k = max(1 / t, 1.0)
    expected = k * t * (1 - torch.tanh(t * x) ** 2)
    torch.testing.assert_close(Estimator("ede", width).factor(x), expected)


def test_identity_passes_everything() -> None:
    x = torch.tensor([-1e4, 0.0, 3.0])
    assert Estimator("identity").factor(x).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "width", "text"),
    [
        ("stee", 1.0, "did you mean 'ste'"),
        ("ste", 0.0, "positive"),
        ("ste", float("nan"), "positive"),
        ("ste", float("inf"), "positive"),
    ],
)
def test_estimators_that_cannot_be(name: str, width: float, text: str) -> None:
    with pytest.raises(InputError, match=text):
        Estimator(name, width)


def test_no_bits_are_rejected() -> None:
    for quantizer in (DoReFa, DoReFaWeights):
        with pytest.raises(InputError, match="at least one bit"):
            quantizer(0)


def gradient_at(x: float, quantizer: Quantizer) -> float:
    value = torch.tensor([x], requires_grad=True)
    quantizer(value).sum().backward()
    assert value.grad is not None
    return float(value.grad)


def test_image_estimator_replaces_the_training_one_and_ends() -> None:
    quantizer = Sign(Estimator("ste", 1.0))
    assert gradient_at(2.0, quantizer) == 0
    with image_estimator(Estimator("ste", 3.0)):
        assert gradient_at(2.0, quantizer) == 1
        with image_estimator(None):
            assert gradient_at(2.0, quantizer) == 0
        assert gradient_at(2.0, quantizer) == 1
    assert gradient_at(2.0, quantizer) == 0
    assert quantizer.estimator == Estimator("ste", 1.0)


def test_image_estimator_ends_with_an_error_too() -> None:
    with pytest.raises(RuntimeError), image_estimator(Estimator("identity")):
        raise RuntimeError
    assert gradient_at(2.0, Sign()) == 0


def test_image_estimator_leaves_values_and_kernels_alone() -> None:
    x = torch.linspace(-2, 2, 9)
    with image_estimator(Estimator("identity")):
        assert torch.equal(Sign()(x), sign(x))
        assert gradient_at(2.0, XnorScale()) == 0


def test_image_estimator_width_one_is_dorefas_own_interval() -> None:
    x, upstream = GOLDEN["x"], GOLDEN["x_upstream"]
    _, own = apply(DoReFa(2), x, upstream)
    with image_estimator(Estimator("ste", 1.0)):
        _, same = apply(DoReFa(2), x, upstream)
    assert torch.equal(own, same)


def test_image_estimator_is_bound_to_its_thread() -> None:
    seen = []
    with image_estimator(Estimator("identity")):
        thread = threading.Thread(target=lambda: seen.append(gradient_at(2.0, Sign())))
        thread.start()
        thread.join()
        assert gradient_at(2.0, Sign()) == 1
    assert seen == [0]


def test_backward_keeps_the_estimator_of_its_forward() -> None:
    x = torch.tensor([2.0], requires_grad=True)
    with image_estimator(Estimator("identity")):
        result = Sign()(x)
    result.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1]
