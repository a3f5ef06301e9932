"""larq-zoo's networks as built: sizes, taps, clips, and files that are not theirs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bitbrush.errors import InputError
from bitbrush.layers import QUANTIZED_LAYERS, Pool2d, QuantConv2d, QuantLinear
from bitbrush.networks import dorefanet, quicknet, quicknet_v1, xnornet
from bitbrush.networks.dorefanet import DoReFaNet
from bitbrush.networks.quicknet import QuickNet
from bitbrush.networks.quicknet_v1 import QuickNetV1
from bitbrush.networks.registry import NETWORKS
from bitbrush.networks.taps import Network
from bitbrush.networks.xnornet import XnorNet

PARAMETERS = {
    "quicknet": 10_511_232,
    "quicknet-large": 11_819_136,
    "quicknet-xl": 22_058_368,
    "quicknet-v1-small": 12_655_688,
    "quicknet-v1": 13_234_088,
    "quicknet-v1-large": 23_342_248,
    "xnornet": 62_387_104,
    "dorefanet": 62_394_440,
}
ONE_BIT = {"quicknet": 9_990_144, "quicknet-large": 10_985_472, "quicknet-xl": 21_086_208}
NARROW = (3, 4, 5, 5, 4, 6, 7)


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


BUILDERS = {
    concat: quicknet,
    pointwise: quicknet,
    linear: quicknet_v1,
    xnor: xnornet,
    dorefa: dorefanet,
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
            assert name in ("xnornet", "dorefanet") or value.shape[-1] == 224 / stride
        else:
            assert value.shape == (1, 1000)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_pooling_reaches_every_pool(name: str, pooling: Any) -> None:
    with torch.device("meta"):
        network = NETWORKS[name].build(pooling)
    pools = [module for module in network.modules() if isinstance(module, Pool2d)]
    assert pools
    assert {pool.kind for pool in pools} == {pooling}


@pytest.mark.parametrize(
    ("name", "clip"), [("quicknet", 1.25), ("quicknet-v1", 1.25), ("xnornet", 1.0)]
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


@pytest.mark.parametrize("build", [xnor, dorefa])
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


@pytest.mark.parametrize("build", [concat, pointwise, linear])
def test_quicknets_take_32_pixels(build: Callable[[], Network]) -> None:
    network = build().eval()
    values = network(torch.rand(1, 3, 32, 37), list(network.taps))
    assert values["logits"].shape == (1, 3)
    assert values["stage2.block2"].shape[2:] == (4, 5)


@pytest.mark.parametrize("name", ["quicknet", "quicknet-v1"])
def test_every_tap_of_a_whole_quicknet_takes_32_pixels(name: str) -> None:
    network = on_meta(name).eval()
    values = list(network.walk(torch.empty(1, 3, 32, 32, device="meta"), network.taps))
    assert all(value.numel() > 0 for _, value in values)


@pytest.mark.parametrize("build", [xnor, dorefa])
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
    for name in [name for name in order if name.endswith("shortcut_conv")]:
        order.remove(name)
        order.insert(order.index(name.replace("shortcut_conv", "block.conv")) + 1, name)
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
