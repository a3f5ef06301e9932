"""GoogLeNet against a forward pass written out over torchvision's names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, linear, max_pool2d, relu

from bitbrush.errors import InputError
from bitbrush.networks.googlenet import GoogLeNet, Widths, from_torchvision
from bitbrush.networks.registry import network_spec

# Every name, kernel and stride of torchvision's; channels are small numbers, no two alike.
STAGES: tuple[tuple[Widths, ...], ...] = (
    ((4, 5, 6, 2, 3, 7), (3, 4, 5, 6, 2, 4)),
    ((4, 3, 5, 2, 3, 4),) * 5,
    ((3, 4, 6, 2, 5, 3), (2, 3, 4, 5, 6, 7)),
)
MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


def arrays(stem: tuple[int, int, int], stages: tuple[tuple[Widths, ...], ...]) -> dict[str, Tensor]:
    """A torchvision state dict with random values."""
    torch.manual_seed(0)
    state: dict[str, Tensor] = {}

    def layer(name: str, before: int, after: int, kernel: int) -> None:
        scale = (2 / (before * kernel * kernel)) ** 0.5
        state[f"{name}.conv.weight"] = torch.randn(after, before, kernel, kernel) * scale
        state[f"{name}.bn.weight"] = torch.rand(after) + 0.5
        state[f"{name}.bn.bias"] = torch.randn(after) / 5
        state[f"{name}.bn.running_mean"] = torch.randn(after) / 5
        state[f"{name}.bn.running_var"] = torch.rand(after) + 0.5
        state[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)

    layer("conv1", 3, stem[0], 7)
    layer("conv2", stem[0], stem[1], 1)
    layer("conv3", stem[1], stem[2], 3)
    before = stem[2]
    widths = [each for stage in stages for each in stage]
    for module, (one, few3, three, few5, five, pooled) in zip(MODULES, widths, strict=True):
        name = f"inception{module}"
        layer(f"{name}.branch1", before, one, 1)
        layer(f"{name}.branch2.0", before, few3, 1)
        layer(f"{name}.branch2.1", few3, three, 3)
        layer(f"{name}.branch3.0", before, few5, 1)
        layer(f"{name}.branch3.1", few5, five, 3)
        layer(f"{name}.branch4.1", before, pooled, 1)
        before = one + three + five + pooled
    state["fc.weight"], state["fc.bias"] = torch.randn(9, before) / 3, torch.randn(9)
    layer("aux1.conv", 12, 8, 1)
    state["aux2.fc1.weight"] = torch.randn(3, 3)
    return state


def reference(p: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    def layer(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = p[f"{name}.conv.weight"]
        x = conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        mean, variance = p[f"{name}.bn.running_mean"], p[f"{name}.bn.running_var"]
        scale, shift = p[f"{name}.bn.weight"], p[f"{name}.bn.bias"]
        return relu(batch_norm(x, mean, variance, scale, shift, eps=0.001))

    x = layer("conv1", x, 2)
    found = [x]
    x = max_pool2d(x, 3, 2, ceil_mode=True)
    x = layer("conv3", layer("conv2", x))
    found.append(x)
    for module in MODULES:
        if module in ("3a", "4a"):
            x = max_pool2d(x, 3, 2, ceil_mode=True)
        elif module == "5a":
            x = max_pool2d(x, 2, 2, ceil_mode=True)
        name = f"inception{module}"
        x = torch.cat(
            [
                layer(f"{name}.branch1", x),
                layer(f"{name}.branch2.1", layer(f"{name}.branch2.0", x)),
                layer(f"{name}.branch3.1", layer(f"{name}.branch3.0", x)),
                layer(f"{name}.branch4.1", max_pool2d(x, 3, 1, 1, ceil_mode=True)),
            ],
            1,
        )
        found.append(x)
    found.append(linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"]))
    return found


@pytest.mark.parametrize("size", [(32, 32), (67, 50), (94, 131)])
def test_every_tap_equals_torchvisions_layers(size: tuple[int, int]) -> None:
    state = arrays((5, 6, 7), STAGES)
    network = GoogLeNet(stem=(5, 6, 7), stages=STAGES, classes=9)
    network.load_state_dict(from_torchvision(state, network), strict=False)
    network.eval()
    image = torch.rand(1, 3, *size)
    # transform_input: what was normalised for ImageNet becomes (x - 0.5) / 0.5 again.
    expected = reference(state, (image - 0.5) / 0.5)
    found = network(image, list(network.taps))
    assert len(found) == len(expected)
    for (tap, value), wanted in zip(found.items(), expected, strict=True):
        torch.testing.assert_close(value, wanted, msg=tap)


def test_parameters_are_torchvisions() -> None:
    with torch.device("meta"):
        network = network_spec("googlenet").build()
    assert sum(p.numel() for p in network.parameters()) == 6_624_904


def test_arrays_that_do_not_fit_are_named() -> None:
    state = arrays((5, 6, 7), STAGES)
    network = GoogLeNet(stem=(5, 6, 7), stages=STAGES, classes=9)
    missing = {k: v for k, v in state.items() if k != "inception4c.branch3.1.bn.bias"}
    with pytest.raises(InputError, match=r"inception4c\.branch3\.1\.bn\.bias is missing"):
        from_torchvision(missing, network)
    with pytest.raises(InputError, match=r"fc\.bias has shape \[7\], not \[9\]"):
        from_torchvision(state | {"fc.bias": torch.zeros(7)}, network)
    with pytest.raises(InputError, match="inception5c"):
        from_torchvision(state | {"inception5c.conv.weight": torch.zeros(7)}, network)


def test_average_pooling_changes_what_lies_behind_the_first_pool() -> None:
    torch.manual_seed(0)
    network = GoogLeNet(stem=(5, 6, 7), stages=STAGES, classes=9).eval()
    other = GoogLeNet(pooling="average", stem=(5, 6, 7), stages=STAGES, classes=9).eval()
    other.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 32, 32)
    values, others = network(image, network.taps), other(image, network.taps)
    assert torch.equal(values["stem"], others["stem"])
    assert not torch.equal(values["stage1.block1"], others["stage1.block1"])
