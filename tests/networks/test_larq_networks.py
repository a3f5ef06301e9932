"""larq-zoo's networks as built: sizes, taps, clips, and files that are not theirs."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bitbrush.errors import InputError
from bitbrush.layers import QUANTIZED_LAYERS, Pool2d, QuantConv2d, QuantLinear
from bitbrush.networks import (
    binary_alexnet,
    binary_densenet,
    birealnet,
    dorefanet,
    meliusnet,
    quicknet,
    quicknet_v1,
    realtobinary,
    xnornet,
)
from bitbrush.networks.binary_alexnet import BinaryAlexNet
from bitbrush.networks.binary_densenet import BinaryDenseNet
from bitbrush.networks.birealnet import BIREAL, RESNET_E, BiRealNet
from bitbrush.networks.dorefanet import DoReFaNet
from bitbrush.networks.meliusnet import MeliusNet
from bitbrush.networks.quicknet import QuickNet
from bitbrush.networks.quicknet_v1 import QuickNetV1
from bitbrush.networks.realtobinary import RealToBinaryNet
from bitbrush.networks.registry import NETWORKS
from bitbrush.networks.taps import Network
from bitbrush.networks.xnornet import XnorNet
from bitbrush.weights.keras_h5 import read_keras_h5

PARAMETERS = {
    "quicknet": 10_511_232,
    "quicknet-large": 11_819_136,
    "quicknet-xl": 22_058_368,
    "quicknet-v1-small": 12_655_688,
    "quicknet-v1": 13_234_088,
    "quicknet-v1-large": 23_342_248,
    "xnornet": 62_387_104,
    "dorefanet": 62_394_440,
    "binary-alexnet": 61_848_720,
    "birealnet": 11_689_512,
    "resnet-e18": 11_689_640,
    "binary-densenet28": 5_131_496,
    "binary-densenet37": 8_702_248,
    "binary-densenet37-dilated": 8_702_248,
    "binary-densenet45": 13_889_512,
    "realtobinary": 11_986_920,
    "meliusnet22": 6_944_584,
}
ONE_BIT = {"quicknet": 9_990_144, "quicknet-large": 10_985_472, "quicknet-xl": 21_086_208}
ALEXNETS = ("xnornet", "dorefanet", "binary-alexnet")
NARROW = (3, 4, 5, 5, 4, 6, 7)
KERNEL = np.ones((1, 1))
GOLDEN = Path(__file__).parents[1] / "golden" / "networks"


def on_meta(name: str) -> Network:
    with torch.device("meta"):
        return NETWORKS[name].build()


def concat() -> QuickNet:
    return QuickNet("q", (1, 2), "concat", (False, False), widths=(16, 32), stem=2, classes=3)


def pointwise() -> QuickNet:
    return QuickNet("q", (1, 2), "pointwise", (False, True), widths=(16, 24), stem=2, classes=3)


def linear() -> QuickNetV1:
    return QuickNetV1("q", (1, 2), (8, 12), classes=3)


def xnor() -> XnorNet:
    return XnorNet(widths=NARROW, classes=3)


def dorefa() -> DoReFaNet:
    return DoReFaNet(widths=NARROW, classes=3)


def alex() -> BinaryAlexNet:
    return BinaryAlexNet(widths=NARROW, classes=3)


def bireal() -> BiRealNet:
    return BiRealNet("b", BIREAL, widths=(8, 12), blocks=(1, 2), classes=3)


def resnet_e() -> BiRealNet:
    return BiRealNet("b", RESNET_E, widths=(8, 12), blocks=(1, 2), classes=3)


def dense() -> BinaryDenseNet:
    return BinaryDenseNet("b", (2, 1), (1.5,), (1, 2), stem=32, growth=8, classes=3)


def real_to_binary() -> RealToBinaryNet:
    return RealToBinaryNet(widths=(8, 16), classes=3)


def melius() -> MeliusNet:
    return MeliusNet(pairs=(1, 1), widths=(12,), growth=8, stem=(8, 8, 16), classes=3)


BUILDERS: dict[Callable[[], Network], Any] = {
    concat: quicknet,
    pointwise: quicknet,
    linear: quicknet_v1,
    xnor: xnornet,
    dorefa: dorefanet,
    bireal: birealnet,
    resnet_e: birealnet,
    dense: binary_densenet,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_larqs(name: str) -> None:
    network = on_meta(name)
    total = one_bit = 0
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            # As larq counts: fused into one factor and one shift.
            total += 2 * module.num_features
        else:
            total += sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if isinstance(module, QUANTIZED_LAYERS):
            one_bit += module.weight.numel()
    assert total == PARAMETERS[name]
    assert one_bit == ONE_BIT.get(name, one_bit)
    assert network.name == name


@pytest.mark.parametrize("name", PARAMETERS)
def test_walk_yields_the_taps_at_their_strides(name: str) -> None:
    network = on_meta(name).eval()
    found = list(network.walk(torch.empty(1, 3, 224, 224, device="meta"), network.taps))
    assert [tap for tap, _ in found] == list(network.taps)
    for tap, value in found:
        stride = network.taps[tap].stride
        if stride:
            # The alexnets' borders cost a row or two.
            assert abs(value.shape[-1] - 224 / stride) <= 2
            assert name in ALEXNETS or value.shape[-1] == 224 / stride
        else:
            assert value.shape == (1, 1000)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_pooling_reaches_every_pool(name: str, pooling: Any) -> None:
    with torch.device("meta"):
        network = NETWORKS[name].build(pooling)
    pools = {
        path: module
        for path, module in network.named_modules()
        # Shortcuts of residual blocks take averages in any case.
        if isinstance(module, Pool2d) and ".shortcut." not in path
    }
    assert pools
    assert {pool.kind for pool in pools.values()} == {pooling}


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("quicknet", 1.25),
        ("quicknet-v1", 1.25),
        ("xnornet", 1.0),
        ("binary-alexnet", 1.0),
        ("birealnet", 1.0),
        ("resnet-e18", 1.25),
        ("binary-densenet28", 1.3),
        ("realtobinary", 1.0),
        ("meliusnet22", 1.3),
    ],
)
def test_latent_weights_are_clipped_as_in_the_zoo(name: str, clip: float) -> None:
    layers = [module for module in on_meta(name).modules() if isinstance(module, QUANTIZED_LAYERS)]
    assert {layer.clip for layer in layers} == {clip}


def test_constrain_reaches_every_quantized_layer() -> None:
    network, free = pointwise(), dorefa()
    with torch.no_grad():
        for module in (*network.modules(), *free.modules()):
            if isinstance(module, QUANTIZED_LAYERS):
                module.weight.fill_(3.0)
    network.constrain()
    free.constrain()
    for module in network.modules():
        if isinstance(module, QUANTIZED_LAYERS):
            assert module.weight.max().item() == 1.25
    assert free.dense6.weight.max().item() == 3.0


@pytest.mark.parametrize("build", [xnor, dorefa, alex])
def test_smallest_picture_of_each_tap_is_the_true_one(build: Callable[[], Network]) -> None:
    network = build().eval()

    def reaches(tap: str, size: int) -> bool:
        x = torch.zeros(1, 3, size, size + 1)
        try:
            return any(
                name == tap and value.numel() > 0 for name, value in network.walk(x, network.taps)
            )
        except RuntimeError:
            return False

    for name, tap in network.taps.items():
        if name != "logits":
            assert reaches(name, tap.smallest), name
            assert not reaches(name, tap.smallest - 1), name


@pytest.mark.parametrize("build", [concat, pointwise, linear, bireal, resnet_e])
def test_quicknets_take_32_pixels(build: Callable[[], Network]) -> None:
    network = build().eval()
    values = network(torch.rand(1, 3, 32, 37), list(network.taps))
    assert values["logits"].shape == (1, 3)
    assert values["stage2.block2"].shape[2:] == (4, 5)


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name not in ALEXNETS])
def test_every_tap_of_a_whole_network_takes_32_pixels(name: str) -> None:
    network = on_meta(name).eval()
    values = list(network.walk(torch.empty(1, 3, 32, 32, device="meta"), network.taps))
    assert all(value.numel() > 0 for _, value in values)


@pytest.mark.parametrize("build", [xnor, dorefa, alex])
def test_alexnets_classify_at_224_only(build: Callable[[], Network]) -> None:
    network = build().eval()
    with pytest.raises(InputError, match="224x224"):
        network(torch.rand(1, 3, 256, 256), ["logits"])


def test_concat_transitions_double() -> None:
    with pytest.raises(InputError, match="doubles 16 channels, not 24"):
        QuickNet("q", (1, 1), "concat", (False, False), widths=(16, 24))


def test_scale_of_unscaled_norms_is_not_trained() -> None:
    network = xnor()
    assert network.norm2.bias.requires_grad
    assert not network.norm2.weight.requires_grad


def running_order(network: Network) -> list[nn.Module]:
    order: list[str] = []
    leaves = {name: module for name, module in network.named_modules() if hasattr(module, "bias")}
    handles = [
        module.register_forward_pre_hook(lambda _module, _args, name=name: order.append(name))
        for name, module in leaves.items()
    ]
    with torch.no_grad():
        network.eval()(torch.rand(1, 3, 224, 224), ["logits"])
    for handle in handles:
        handle.remove()
    beside = {"shortcut_conv": "block.conv", "shortcut.conv": "conv"}
    for ending, other in beside.items():
        for name in [name for name in order if name.endswith(ending)]:
            order.remove(name)
            order.insert(order.index(name.replace(ending, other)) + 1, name)
    return [leaves[name] for name in order]


def keras_layers(network: Network) -> list[tuple[str, dict[str, np.ndarray[Any, Any]]]]:
    """A file for the network, its layers in the order in which they run.

    Except that the one-bit convolution of a transition comes before that of its shortcut.
    """
    layers: list[tuple[str, dict[str, np.ndarray[Any, Any]]]] = []
    rng = np.random.default_rng(0)
    norms = 0
    for module in running_order(network):
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            keys = (
                ("beta:0", "moving_mean:0", "moving_variance:0")
                if module.affine
                else ("moving_mean:0", "moving_variance:0")
            )
            weights = {key: rng.random(module.num_features, np.float32) for key in keys}
            layers.append((f"batch_normalization_{norms}", weights))
            norms += 1
        elif isinstance(module, nn.Conv2d) and module.groups > 1:
            groups, multiplier = module.groups, module.out_channels // module.groups
            shape = (*module.kernel_size, groups, multiplier)
            weights = {"depthwise_kernel:0": rng.random(shape, np.float32)}
            layers.append((f"depthwise_conv2d_{len(layers)}", weights))
        elif isinstance(module, nn.Conv2d | nn.Linear | QuantConv2d | QuantLinear):
            axes = (2, 3, 1, 0) if module.weight.dim() == 4 else (1, 0)
            shape = tuple(module.weight.shape[axis] for axis in axes)
            weights = {"kernel:0": rng.random(shape, np.float32)}
            if module.bias is not None:
                weights["bias:0"] = rng.random(module.bias.shape[0], np.float32)
            layers.append((f"layer_{len(layers)}", weights))
    return layers


@pytest.mark.parametrize(("build", "family"), BUILDERS.items())
def test_from_keras_refuses_what_is_no_file_of_the_network(
    build: Callable[[], Network], family: Any
) -> None:
    network = build()
    layers = keras_layers(network)
    network.load_state_dict(family.from_keras(layers, network), strict=True)

    with pytest.raises(InputError, match=r"ends before head.*notop"):
        family.from_keras(layers[:-1], network)
    with pytest.raises(InputError, match="more layers than the network"):
        family.from_keras([*layers, layers[-1]], network)
    name, weights = layers[-1]
    wrong = {**weights, "kernel:0": weights["kernel:0"][:, :-1]}
    with pytest.raises(InputError, match=f"layer {name} has shape"):
        family.from_keras([*layers[:-1], (name, wrong)], network)
    broken = {**weights, "kernel:0": np.full_like(weights["kernel:0"], np.nan)}
    with pytest.raises(InputError, match=f"layer {name} holds values that are no numbers"):
        family.from_keras([*layers[:-1], (name, broken)], network)
    odd = {"alpha:0": np.zeros(3, np.float32)}
    with pytest.raises(InputError, match="layer odd is of a kind"):
        family.from_keras([*layers, ("odd", odd)], network)


@pytest.mark.parametrize(("build", "family"), BUILDERS.items())
def test_from_keras_refuses_a_bias_too_many_or_too_few(
    build: Callable[[], Network], family: Any
) -> None:
    network = build()
    layers = keras_layers(network)
    name, weights = layers[-1]
    changed = {"kernel:0": weights["kernel:0"]}
    if "bias:0" not in weights:
        changed["bias:0"] = np.zeros(3, np.float32)
    with pytest.raises(InputError, match="bias, unlike head"):
        family.from_keras([*layers[:-1], (name, changed)], network)


def test_the_files_of_other_generations_are_refused() -> None:
    for ours, theirs in pairwise([concat, linear, pointwise, concat]):
        with pytest.raises(InputError, match=r"another network|ends before"):
            BUILDERS[ours].from_keras(keras_layers(theirs()), ours())  # type: ignore[attr-defined]


@pytest.mark.parametrize("build", [concat, pointwise])
def test_norms_side_by_side_are_told_apart_by_number_not_by_place(
    build: Callable[[], QuickNet],
) -> None:
    network = build()
    layers = keras_layers(network)
    target = "stages.1.0.shortcut_norm.running_mean"
    state = quicknet.from_keras(layers, network)
    norms = [i for i, (name, _) in enumerate(layers) if name.startswith("batch")]
    # The stem's, the first block's, then the transition's two.
    first, second = norms[2], norms[3]
    layers[first], layers[second] = layers[second], layers[first]
    assert torch.equal(quicknet.from_keras(layers, network)[target], state[target])
    layers[first] = ("bn_shortcut", layers[first][1])
    with pytest.raises(InputError, match=r"bn_shortcut.*no number"):
        quicknet.from_keras(layers, network)


def test_dense_after_a_map_is_reordered_from_height_width_channels() -> None:
    network = dorefa()
    layers = keras_layers(network)
    index = next(i for i, (_, w) in enumerate(layers) if w.get("kernel:0", np.ones(1)).ndim == 2)
    channels, side = NARROW[4], dorefanet.MAP
    value = np.arange(channels * side * side, dtype=np.float32)
    # The weight of the cell (row, column, channel) is its place in Keras' flattened map.
    layers[index][1]["kernel:0"][:] = value[:, None]
    weight = dorefanet.from_keras(layers, network)["dense6.weight"][0].view(channels, side, side)
    assert weight[1, 2, 3] == (2 * side + 3) * channels + 1


def test_dense_layers_of_either_form_become_convolutions_of_the_map() -> None:
    network = alex()
    layers = keras_layers(network)
    index = next(i for i, (_, w) in enumerate(layers) if w.get("kernel:0", KERNEL).shape[0] == 6)
    channels, side = NARROW[4], binary_alexnet.MAP
    flat = np.arange(channels * side * side, dtype=np.float32)
    for extra in ((), (1, 1)):
        dense = [
            (name, {"kernel:0": w["kernel:0"].reshape(*extra, -1, w["kernel:0"].shape[-1])})
            if i >= index and "kernel:0" in w
            else (name, w)
            for i, (name, w) in enumerate(layers)
        ]
        dense[index][1]["kernel:0"][:] = flat[:, None]
        state = binary_alexnet.from_keras(dense, network)
        network.load_state_dict(state, strict=True)
        assert state["convs.5.weight"][0, 1, 2, 3] == (2 * side + 3) * channels + 1
    cut = [(name, dict(w)) for name, w in dense]
    cut[index][1]["kernel:0"] = cut[index][1]["kernel:0"][..., :-1, :]
    with pytest.raises(InputError, match="does not cover convs.5's 6x6 map"):
        binary_alexnet.from_keras(cut, network)
    with pytest.raises(InputError, match=r"ends before convs.5.*notop"):
        binary_alexnet.from_keras(dense[:index], network)


@pytest.mark.parametrize("name", ["realtobinary", "meliusnet22"])
def test_files_with_named_layers_are_read_by_name(name: str, tmp_path: Path) -> None:
    family = {"realtobinary": realtobinary, "meliusnet22": meliusnet}[name]
    network: Network = (
        RealToBinaryNet(widths=(8, 16, 32, 64), classes=10)
        if name == "realtobinary"
        else MeliusNet(pairs=(1, 1), widths=(32,), classes=10)
    )
    path = tmp_path / "a.h5"
    path.write_bytes(gzip.decompress((GOLDEN / f"{name}.h5.gz").read_bytes()))
    layers = read_keras_h5(path)
    state = family.from_keras(layers, network)
    turned = family.from_keras(layers[::-1], network)
    assert all(torch.equal(turned[key], value) for key, value in state.items())
    last = layers[-1][0]
    with pytest.raises(InputError, match=r"no layer .*, which head comes from.*notop"):
        family.from_keras(layers[:-1], network)
    with pytest.raises(InputError, match=f"more layers than the network, among them.*{last[-5:]}"):
        family.from_keras([*layers, layers[-1]], network)
    odd = (layers[-1][0], {"alpha:0": np.zeros((1, 1, 3), np.float32)})
    with pytest.raises(InputError, match="has shape"):
        family.from_keras([*layers[:-1], odd], network)


@pytest.mark.parametrize("build", [*BUILDERS, alex, real_to_binary, melius])
def test_taps_are_what_is_binarised(build: Callable[[], Network]) -> None:
    network = build().eval()
    seen: list[torch.Tensor] = []
    for module in network.modules():
        if isinstance(module, QuantConv2d) and module.input_quantizer is not None:
            module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    size = 224 if build in (xnor, dorefa, alex) else 64
    taps = network(torch.rand(1, 3, size, size), list(network.taps))
    missing = [x for x in seen if not any(x is value for value in taps.values())]
    # Of the alexnets' heads, and of the map that quicknet-v1's transition gives.
    assert len(missing) == {xnor: 1, alex: 2, linear: 1}.get(build, 0)
