"""SqueezeNet v1.1 against a forward pass written out over torchvision's names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from bitbrush.errors import InputError
from bitbrush.networks.squeezenet import SqueezeNet, from_torchvision

SHARED = Path(__file__).parents[2] / ".." / "shared" / "weights"
FILE = SHARED / "squeezenet1_1_imagenet.safetensors"
INDEX = {
    "stem": 1,
    "stage1.block1": 3,
    "stage1.block2": 4,
    "stage2.block1": 6,
    "stage2.block2": 7,
    "stage3.block1": 9,
    "stage3.block2": 10,
    "stage3.block3": 11,
    "stage3.block4": 12,
}


def arrays() -> dict[str, Tensor]:
    """A torchvision state dict of the right shapes with random values, half of them float16."""
    torch.manual_seed(0)
    shapes = {"features.0": (64, 3, 3), "classifier.1": (1000, 512, 1)}
    before = 64
    for index, (few, half) in {
        3: (16, 64), 4: (16, 64), 6: (32, 128), 7: (32, 128),
        9: (48, 192), 10: (48, 192), 11: (64, 256), 12: (64, 256),
    }.items():  # fmt: skip
        shapes[f"features.{index}.squeeze"] = (few, before, 1)
        shapes[f"features.{index}.expand1x1"] = (half, few, 1)
        shapes[f"features.{index}.expand3x3"] = (half, few, 3)
        before = 2 * half
    state = {}
    for layer, (after, inputs, side) in shapes.items():
        scale = (2 / (inputs * side * side)) ** 0.5
        state[f"{layer}.weight"] = (torch.randn(after, inputs, side, side) * scale).half()
        state[f"{layer}.bias"] = torch.randn(after) / 10
    return state


def reference(state: dict[str, Tensor], x: Tensor) -> dict[int | str, Tensor]:
    p = {name: value.float() for name, value in state.items()}
    found: dict[int | str, Tensor] = {}
    x = relu(conv2d(x, p["features.0.weight"], p["features.0.bias"], stride=2))
    found[1] = x
    for index in range(2, 13):
        if index in (2, 5, 8):
            x = max_pool2d(x, 3, 2, ceil_mode=True)
        else:
            w, b = (
                {
                    s: p[f"features.{index}.{s}.{kind}"]
                    for s in ("squeeze", "expand1x1", "expand3x3")
                }
                for kind in ("weight", "bias")
            )
            s = relu(conv2d(x, w["squeeze"], b["squeeze"]))
            one = relu(conv2d(s, w["expand1x1"], b["expand1x1"]))
            three = relu(conv2d(s, w["expand3x3"], b["expand3x3"], padding=1))
            x = torch.cat([one, three], 1)
        found[index] = x
    x = relu(conv2d(x, p["classifier.1.weight"], p["classifier.1.bias"]))
    found["logits"] = x.mean((2, 3))
    return found


@pytest.mark.parametrize("size", [(32, 32), (67, 50)])
def test_every_tap_equals_torchvisions_layers(size: tuple[int, int]) -> None:
    state = arrays()
    network = SqueezeNet()
    network.load_state_dict(from_torchvision(state, network), strict=True)
    image = torch.rand(1, 3, *size)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    expected = reference(state, (image - mean) / std)
    values = network(image, network.taps)
    assert list(values) == [*INDEX, "logits"]
    for tap, value in values.items():
        torch.testing.assert_close(value, expected[INDEX.get(tap, tap)], msg=tap)


def test_average_pooling_changes_what_lies_behind_the_first_pool() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32)
    network = SqueezeNet(fires=((((2, 4),)) * 1,) * 3, stem=4, classes=3)
    other = SqueezeNet(pooling="average", fires=((((2, 4),)) * 1,) * 3, stem=4, classes=3)
    other.load_state_dict(network.state_dict())
    values, others = network(image, network.taps), other(image, network.taps)
    assert torch.equal(values["stem"], others["stem"])
    assert not torch.equal(values["stage1.block1"], others["stage1.block1"])


def test_arrays_that_do_not_fit_are_named() -> None:
    network = SqueezeNet()
    state = arrays()
    with pytest.raises(InputError, match=r"features\.4\.squeeze\.bias is missing"):
        from_torchvision(
            {k: v for k, v in state.items() if k != "features.4.squeeze.bias"}, network
        )
    with pytest.raises(InputError, match=r"classifier\.1\.bias has shape \[7\], not \[1000\]"):
        from_torchvision(state | {"classifier.1.bias": torch.zeros(7)}, network)


@pytest.mark.skipif(not FILE.is_file(), reason="needs the folder ../shared")
def test_the_published_file_fits_value_for_value() -> None:
    state = load_file(FILE)
    network = SqueezeNet()
    network.load_state_dict(from_torchvision(state, network), strict=True)
    assert all(value.dtype == torch.float32 for value in network.state_dict().values())
    assert sum(p.numel() for p in network.parameters()) == 1_235_496
    assert sum(value.numel() for value in state.values()) == 1_235_496
