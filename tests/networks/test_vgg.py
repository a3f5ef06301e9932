"""VGG against forward passes written out over the names of the files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, conv2d, linear, max_pool2d, pad, relu

from bitbrush.errors import InputError
from bitbrush.networks.registry import network_spec
from bitbrush.networks.taps import Network
from bitbrush.networks.vgg import VGG16, VGG19, Vgg, from_converted, from_torchvision

SHARED = Path(__file__).parents[2] / ".." / "shared" / "weights"
WIDTHS = (64, 128, 256, 512, 512)
# torchvision's features: the places of the convolutions, stage by stage.
PLACES = {
    "vgg16": ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)),
    "vgg19": ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34)),
}


def torchvision_state(
    name: str, widths: tuple[int, ...], classes: int, device: str, hidden: int = 4096
) -> dict[str, Tensor]:
    state, before = {}, 3
    for places, width in zip(PLACES[name], widths, strict=True):
        for place in places:
            weight = torch.randn(width, before, 3, 3, device=device) / (3 * before**0.5)
            state[f"features.{place}.weight"] = weight
            state[f"features.{place}.bias"] = torch.randn(width, device=device)
            before = width
    sizes = ((0, before * 49, hidden), (3, hidden, hidden), (6, hidden, classes))
    for place, inputs, outputs in sizes:
        state[f"classifier.{place}.weight"] = torch.randn(outputs, inputs, device=device) / 50
        state[f"classifier.{place}.bias"] = torch.randn(outputs, device=device)
    return state


@pytest.mark.parametrize(("name", "convs"), [("vgg16", VGG16), ("vgg19", VGG19)])
def test_features_and_logits_equal_torchvisions(name: str, convs: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    state = torchvision_state(name, (4, 4, 6, 6, 2), 5, "cpu")
    network = Vgg(name, convs, (4, 4, 6, 6, 2), classes=5)
    network.load_state_dict(from_torchvision(state, network), strict=True)
    image = torch.rand(1, 3, 38, 32)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    values = network(image, network.taps)
    x = (image - mean) / std
    for stage, places in enumerate(PLACES[name], 1):
        for number, at in enumerate(places, 1):
            weight, bias = state[f"features.{at}.weight"], state[f"features.{at}.bias"]
            x = relu(conv2d(x, weight, bias, padding=1))
            torch.testing.assert_close(values[f"relu{stage}_{number}"], x)
        x = max_pool2d(x, 2, 2)
    x = adaptive_avg_pool2d(x, 7).flatten(1)
    for at in (0, 3):
        x = relu(linear(x, state[f"classifier.{at}.weight"], state[f"classifier.{at}.bias"]))
    expected = linear(x, state["classifier.6.weight"], state["classifier.6.bias"])
    torch.testing.assert_close(values["logits"], expected)


@pytest.mark.parametrize(("name", "count"), [("vgg16", 138_357_544), ("vgg19", 143_667_240)])
def test_the_whole_network_takes_torchvisions_state_dict(name: str, count: int) -> None:
    # The meta device has shapes but no memory.
    with torch.device("meta"):
        network = network_spec(name).build()
    state = torchvision_state(name, WIDTHS, 1000, "meta")
    network.load_state_dict(from_torchvision(state, network), strict=True)
    assert sum(p.numel() for p in network.parameters()) == count
    assert sum(value.numel() for value in state.values()) == count
    with pytest.raises(InputError, match=r"features\.5\.bias is missing"):
        from_torchvision({k: v for k, v in state.items() if k != "features.5.bias"}, network)
    with pytest.raises(InputError, match=r"features\.0\.weight has shape \[64, 3, 5, 5\]"):
        wrong = torch.empty(64, 3, 5, 5, device="meta")
        from_torchvision(state | {"features.0.weight": wrong}, network)
    other = "vgg19" if name == "vgg16" else "vgg16"
    with pytest.raises(InputError, match=f"not for {name}"):
        from_torchvision(torchvision_state(other, WIDTHS, 1000, "meta"), network)


def converted(name: str) -> tuple[dict[str, Tensor], Network]:
    path = SHARED / f"{name.replace('-', '_')}_relu{5 if name == 'vgg19-16x' else 3}_1.safetensors"
    if not path.is_file():
        pytest.skip("needs the folder ../shared")
    network = network_spec(name).build()
    state = load_file(path)
    network.load_state_dict(from_converted(state, network), strict=True)
    return state, network


@pytest.mark.parametrize("name", ["vgg19-16x", "vgg19-normalised"])
def test_the_converted_files_run_as_their_notes_say(name: str) -> None:
    state, network = converted(name)
    assert sum(p.numel() for p in network.parameters()) == sum(v.numel() for v in state.values())
    torch.manual_seed(0)
    image = torch.rand(1, 3, 48, 37)
    values = network(image, network.taps)
    x = conv2d(image, state["conv0.weight"], state["conv0.bias"])
    joint = "_" if name == "vgg19-normalised" else ""
    for tap in network.taps:
        stage, number = tap.removeprefix("relu").split("_")
        if number == "1" and stage != "1":
            x = max_pool2d(x, 2, 2)
        layer = f"conv{stage}{joint}{number}"
        x = pad(x, (1, 1, 1, 1), mode="reflect")
        x = relu(conv2d(x, state[f"{layer}.weight"], state[f"{layer}.bias"]))
        torch.testing.assert_close(values[tap], x, msg=tap)
    del state["conv2_1.bias" if joint else "conv21.bias"]
    with pytest.raises(InputError, match=r"conv2_?1\.bias is missing"):
        from_converted(state, network)
