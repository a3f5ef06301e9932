"""Inception v3 and ResNet50V2 against what tools/goldens/applications.py recorded from Keras."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import bitbrush
from bitbrush.errors import InputError
from bitbrush.layers import Pool2d
from bitbrush.networks import inception, resnet_v2
from bitbrush.networks.inception import InceptionV3
from bitbrush.networks.keras import by_creation
from bitbrush.networks.registry import network_spec
from bitbrush.networks.resnet_v2 import ResNetV2
from bitbrush.networks.taps import Network

GOLDEN = Path(__file__).parents[1] / "golden" / "networks"
WHOLE = os.environ.get("BITBRUSH_KERAS_GOLDENS")
FAMILIES = {"inception-v3": inception, "resnet50-v2": resnet_v2}
# Keras counts all vectors of a batch norm that there are.
PARAMETERS = {"inception-v3": 23_851_784, "resnet50-v2": 25_613_800}
MOST = 400
Layers = list[tuple[str, dict[str, npt.NDArray[Any]]]]


def values(layer: str, weight: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """As in the program that recorded: what a weight is filled with."""
    unit = np.random.RandomState(zlib.crc32(f"{layer}/{weight}".encode())).uniform(-1, 1, shape)
    if weight.startswith("kernel"):
        return (unit * np.sqrt(6 / np.prod(shape[:-1]))).astype(np.float32)
    if weight.startswith(("gamma", "moving_variance")):
        return (1 + unit / 2).astype(np.float32)
    return (unit / 4).astype(np.float32)


def keras_layers(layout: str) -> Layers:
    return [
        (layer, {weight: values(layer, weight, tuple(shape)) for weight, shape in weights})
        for layer, weights in json.loads(layout)
    ]


def some(value: Tensor) -> Tensor:
    """As in the program that recorded, of N, C, H, W."""
    flat = (value.permute(0, 2, 3, 1) if value.dim() == 4 else value).reshape(-1)
    return flat[:: -(-flat.numel() // MOST)]


def compare(name: str, path: Path) -> dict[str, float]:
    """Relative distances of taps, logits and gradient."""
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    assert int(arrays["parameters"]) == PARAMETERS[name]
    network = network_spec(name).build()
    state = FAMILIES[name].from_keras(keras_layers(str(arrays["layout"])), network)
    network.load_state_dict(state, strict=True)
    network.eval()
    image = torch.from_numpy(arrays["image"]).permute(0, 3, 1, 2).float() / 255
    found = network(image.requires_grad_(), list(network.taps))
    logits = found["logits"]
    total = (logits * torch.linspace(-1, 1, logits.shape[1])).sum()
    (gradient,) = torch.autograd.grad(total, image)
    ours = [*(some(found[tap]) for tap in list(network.taps)[:-1]), logits[0]]
    ours.append(some(gradient * network.std))
    keys = [*(f"tap{index}" for index in range(len(network.taps) - 1)), "logits", "gradient"]
    assert len([key for key in arrays if key.startswith("tap")]) == len(keys) - 2
    distances = {}
    for key, mine in zip(keys, ours, strict=True):
        theirs = torch.from_numpy(arrays[key]).reshape(-1)
        assert mine.shape == theirs.shape
        distances[key] = float((mine.detach() - theirs).norm() / theirs.norm())
    return distances


@pytest.mark.parametrize("name", FAMILIES)
def test_taps_logits_and_gradient_agree_with_keras(name: str) -> None:
    distances = compare(name, GOLDEN / f"{name}.npz")
    assert max(distances.values()) <= 1e-5


@pytest.mark.slow
@pytest.mark.skipif(WHOLE is None, reason="BITBRUSH_KERAS_GOLDENS names no folder of recordings")
@pytest.mark.parametrize("name", FAMILIES)
def test_whole_pictures_agree_with_keras(name: str) -> None:
    distances = compare(name, Path(WHOLE or "") / f"{name}.npz")
    print(name, {key: f"{value:.1e}" for key, value in distances.items()})
    # Of millions of values some lie so near a relu's edge that rounding decides for the gradient.
    assert distances.pop("gradient") <= 1e-2
    assert max(distances.values()) <= 1e-5


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_are_keras(name: str) -> None:
    with torch.device("meta"):
        network = network_spec(name).build()
    held = sum(
        value.numel()
        for key, value in network.state_dict(keep_vars=True).items()
        # A scale that is held at 1 is in no file.
        if "num_batches" not in key and (value.requires_grad or "running" in key)
    )
    assert held == PARAMETERS[name]


def small(name: str) -> Network:
    if name == "inception-v3":
        return InceptionV3(divisor=16, classes=3)
    return ResNetV2(blocks=(1, 2), stem=4, classes=3)


def narrow_file() -> Layers:
    """Inception's layers with the names that Keras gives them, a sixteenth as wide."""
    with np.load(GOLDEN / "inception-v3.npz") as file:
        layout = json.loads(str(file["layout"]))
    widths = {1000: 3, 3: 3}
    layers = []
    for layer, weights in layout:
        made = {}
        for weight, shape in weights:
            kernel, channels = shape[:-2], shape[-2:]
            narrow = [*kernel, *(widths.get(side, side // 16) for side in channels)]
            made[weight] = values(layer, weight, tuple(narrow))
        layers.append((layer, made))
    return layers


def test_inceptions_file_is_read_by_the_numbers_in_its_names() -> None:
    network = small("inception-v3")
    layers = narrow_file()
    state = inception.from_keras(layers, network)
    turned = inception.from_keras(layers[::-1], network)
    assert all(torch.equal(turned[key], value) for key, value in state.items())
    offset = [
        (f"{name.rpartition('_')[0]}_{int(name.rpartition('_')[2]) + 94}", weights)
        if name[-1].isdecimal() and name.startswith("conv2d_")
        else ("conv2d_94" if name == "conv2d" else name, weights)
        for name, weights in layers
    ]
    assert torch.equal(inception.from_keras(offset, network)["head.weight"], state["head.weight"])
    same = [("conv2d" if name.startswith("conv2d") else name, w) for name, w in layers]
    with pytest.raises(InputError, match="two layers are called conv2d"):
        inception.from_keras(same, network)
    with pytest.raises(InputError, match="ends before head"):
        rest = [(name, w) for name, w in layers if name != "predictions"]
        inception.from_keras(rest, network)


def test_names_of_any_kind_are_put_in_order() -> None:
    names = ["conv_2", "two\nlines_1", "conv"]
    ordered = by_creation([(name, {}) for name in names])
    assert [name for name, _ in ordered] == ["conv", "two\nlines_1", "conv_2"]


def test_resnets_file_is_read_by_name() -> None:
    with np.load(GOLDEN / "resnet50-v2.npz") as file:
        layers = keras_layers(str(file["layout"]))
    network = network_spec("resnet50-v2").build()
    renamed = [("probs" if name == "predictions" else name, w) for name, w in layers]
    state = resnet_v2.from_keras(renamed[::-1], network)
    assert torch.equal(state["stem.bias"], torch.from_numpy(dict(layers)["conv1_conv"]["bias:0"]))
    with pytest.raises(InputError, match="no layer post_bn"):
        resnet_v2.from_keras([layer for layer in layers if layer[0] != "post_bn"], network)


def test_smallest_pictures_of_inception_are_the_true_ones() -> None:
    network = small("inception-v3").eval()

    def reaches(tap: str, size: int) -> bool:
        try:
            x = torch.zeros(1, 3, size, size + 1)
            return any(name == tap and value.numel() > 0 for name, value in network.walk(x, [tap]))
        except RuntimeError:
            return False

    for name, tap in network.taps.items():
        if name != "logits":
            assert reaches(name, tap.smallest), name
            assert not reaches(name, tap.smallest - 1), name


@pytest.mark.parametrize("name", FAMILIES)
def test_taps_lie_at_their_strides(name: str) -> None:
    network = small(name).eval()
    for tap, value in network(torch.rand(1, 3, 224, 192), list(network.taps)).items():
        stride = network.taps[tap].stride
        # Inception's missing borders cost some rows.
        spare = 4 if name == "inception-v3" else 0
        assert stride == 0 or abs(value.shape[2] - 224 / stride) <= spare


@pytest.mark.parametrize("name", FAMILIES)
def test_pooling_reaches_the_pools_that_halve(name: str) -> None:
    with torch.device("meta"):
        network = network_spec(name).build("average")
    pools = [module for module in network.modules() if isinstance(module, Pool2d)]
    assert pools and {pool.kind for pool in pools} == {"average"}
    with torch.device("meta"):
        network = network_spec(name).build()
    kinds = {
        pool.kind for pool in network.modules() if isinstance(pool, Pool2d) and pool.stride == 2
    }
    assert kinds == {"max"}


def test_inception_paints_though_its_smallest_pictures_have_maps_of_one_cell() -> None:
    content, style = torch.rand(2, 3, 112, 112)
    options = {"network": "inception-v3", "weights": "none", "size": 112, "steps": 1}
    assert bitbrush.paint(content, style, **options).image.shape == (1, 3, 112, 112)
