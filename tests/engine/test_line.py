"""Lines of parts against the same modules under torch's graph: the same maps and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bitbrush.engine.freeze import freeze
from bitbrush.engine.line import LineNetwork
from bitbrush.errors import BitbrushError
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.quicknet_v1 import QuickNetV1
from bitbrush.networks.taps import Network
from bitbrush.quantizers import ESTIMATORS, Estimator, image_estimator

Relative = Callable[[Tensor, Tensor], float]

NETWORKS: dict[str, Callable[[], Network]] = {
    "quickbrush": lambda: QuickBrush(stem=32, widths=(64, 128), blocks=(1, 2)),
    "quicknet": lambda: QuickNetV1("quicknet-v1", (2, 1), (64, 128), classes=5),
    "average": lambda: QuickNetV1("quicknet-v1", (1, 2), (64, 128), classes=5, pooling="average"),
}


def line(name: str, precision: str = "float32") -> LineNetwork:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    frozen = freeze(network.settle(), precision)
    assert isinstance(frozen, LineNetwork)
    return frozen


def walked(network: Network, image: Tensor, taps: list[str]) -> tuple[dict[str, Tensor], Tensor]:
    """Copies of the maps, and the gradient of a sum over all of them to the picture."""
    leaf = image.clone().requires_grad_(True)
    maps = network(leaf, taps)
    copies = {tap: value.detach().clone() for tap, value in maps.items()}
    upstream = []
    for index, value in enumerate(maps.values()):
        random = torch.Generator().manual_seed(index)
        upstream.append(torch.randn(value.shape, generator=random))
    (gradient,) = torch.autograd.grad(list(maps.values()), leaf, upstream)
    return copies, gradient


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(list(NETWORKS)),
    st.sampled_from(["float32", "bf16", "int8"]),
    st.sampled_from(list(ESTIMATORS)),
    st.integers(32, 75),
    st.integers(32, 75),
    st.data(),
)
def test_a_line_gives_what_its_modules_give(
    relative: Relative,
    name: str,
    precision: str,
    estimator: str,
    height: int,
    width: int,
    data: st.DataObject,
) -> None:
    network = line(name, precision)
    taps = data.draw(st.lists(st.sampled_from(list(network.taps)), min_size=1, unique=True))
    image = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(height))
    with image_estimator(Estimator(estimator)):
        maps, gradient = walked(network, image, taps)
        expected, expected_gradient = walked(network.rest, image, taps)
    assert list(maps) == list(expected) == [tap for tap in network.taps if tap in taps]
    for tap, value in expected.items():
        assert torch.equal(maps[tap], value), tap
    # The order of sums differs, and in 8 bits also what the values of a tile are rounded to.
    assert relative(gradient, expected_gradient) < (1e-5 if precision == "float32" else 2e-2)


def test_a_line_may_be_walked_without_gradients() -> None:
    network = line("quickbrush")
    image, taps = torch.rand(1, 3, 40, 44), ["stem", "stage1.block1"]
    with torch.no_grad():
        maps = network(image, taps)
    again = network(image.requires_grad_(True), taps)
    assert all(torch.equal(maps[tap], again[tap]) for tap in taps)
    assert again["stem"].requires_grad and not maps["stem"].requires_grad


def test_maps_of_which_nothing_is_asked_have_no_gradient() -> None:
    """Only one of two maps is used."""
    network = line("quicknet")
    leaf = torch.rand(1, 3, 64, 64, requires_grad=True)
    both = network(leaf, ["stage1.block1", "stage2.block1"])
    (gradient,) = torch.autograd.grad(both["stage1.block1"].sum(), leaf)
    (alone,) = torch.autograd.grad(network(leaf, ["stage1.block1"])["stage1.block1"].sum(), leaf)
    assert torch.equal(gradient, alone)


def test_a_second_way_back_is_refused() -> None:
    leaf = torch.rand(1, 3, 48, 64, requires_grad=True)
    maps = line("quickbrush")(leaf, ["stem", "stage1.block1"])
    maps["stem"].mean().backward(retain_graph=True)
    with pytest.raises(BitbrushError, match="call the network again"):
        maps["stem"].sum().backward()


@pytest.mark.parametrize("stem", [24, 40])
def test_widths_that_no_step_is_made_for_run_as_modules(stem: int) -> None:
    network = QuickBrush(stem=stem, widths=(64,), blocks=(1,)).settle()
    frozen = freeze(network, "float32")
    assert not isinstance(frozen, LineNetwork)
    image = torch.rand(1, 3, 48, 48)
    taps = ["stem", "stage1.block1"]
    for tap, value in network(image, taps).items():
        torch.testing.assert_close(frozen(image, taps)[tap], value, rtol=1e-4, atol=1e-4)
