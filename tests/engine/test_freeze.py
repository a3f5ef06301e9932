"""Whole networks on packed bits against the float ones.

Two engines add floats in different orders, so values before a sign differ in their last digits, and
once in a while one of them is so near 0 that its sign differs. From there on a network is another
one. So maps are compared in the order of their computing: until the first map in which signs
differ they must agree, and there every value whose sign differs must be as good as 0.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bitbrush.engine.freeze import freeze
from bitbrush.engine.line import LineNetwork
from bitbrush.engine.modules import PackedConv2d
from bitbrush.engine.ways import why_not
from bitbrush.errors import InputError
from bitbrush.layers import QUANTIZED_LAYERS, QuantConv2d
from bitbrush.networks.binary_alexnet import BinaryAlexNet
from bitbrush.networks.binary_densenet import BinaryDenseNet
from bitbrush.networks.birealnet import BIREAL, RESNET_E, BiRealNet
from bitbrush.networks.dorefanet import BITS, DoReFaNet
from bitbrush.networks.meliusnet import MeliusNet
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.quicknet import QuickNet
from bitbrush.networks.quicknet_v1 import QuickNetV1
from bitbrush.networks.realtobinary import RealToBinaryNet
from bitbrush.networks.registry import NETWORKS
from bitbrush.networks.resnet_bmxnet import ResNetBmxnet
from bitbrush.networks.taps import Network
from bitbrush.networks.xnornet import XnorNet
from bitbrush.quantizers import DoReFaWeights, Estimator, Sign, image_estimator

Relative = Callable[[Tensor, Tensor], float]

ALEX = (40, 64, 70, 64, 48, 32, 32)
SMALL: dict[str, Callable[..., Network]] = {
    "quickbrush": lambda **_: QuickBrush(stem=24, widths=(64, 128), blocks=(1, 3)),
    "quickbrush-small": lambda **_: QuickBrush(
        "quickbrush-small", stem=16, widths=(64, 64), blocks=(1, 2)
    ),
    "quickbrush-large": lambda **_: QuickBrush(
        "quickbrush-large", stem=32, widths=(64, 64), blocks=(2, 1)
    ),
    "quicknet": lambda **p: QuickNet(
        "quicknet", (2, 2), "concat", (False, False), widths=(64, 128), classes=10, **p
    ),
    "quicknet-large": lambda **p: QuickNet(
        "quicknet-large", (2, 2), "pointwise", (False, True), widths=(64, 96), classes=10, **p
    ),
    "quicknet-xl": lambda **p: QuickNet(
        "quicknet-xl", (3, 2), "pointwise", (True, False), widths=(64, 128), classes=10, **p
    ),
    "quicknet-v1-small": lambda **p: QuickNetV1(
        "quicknet-v1-small", (2, 2), (32, 64), classes=10, **p
    ),
    "quicknet-v1": lambda **p: QuickNetV1("quicknet-v1", (1, 2), (64, 128), classes=10, **p),
    "quicknet-v1-large": lambda **p: QuickNetV1(
        "quicknet-v1-large", (3, 2), (64, 64), classes=10, **p
    ),
    "xnornet": lambda **p: XnorNet(widths=ALEX, classes=10, **p),
    "dorefanet": lambda **p: DoReFaNet(widths=ALEX, classes=10, **p),
    "binary-alexnet": lambda **p: BinaryAlexNet(widths=ALEX, classes=10, **p),
    "birealnet": lambda **p: BiRealNet(
        "birealnet", BIREAL, widths=(64, 96), blocks=(2, 1), classes=10, **p
    ),
    "resnet-e18": lambda **p: BiRealNet(
        "resnet-e18", RESNET_E, widths=(32, 64), blocks=(1, 2), classes=10, **p
    ),
    "binary-densenet28": lambda **p: BinaryDenseNet(
        "binary-densenet28", (2, 1), (2,), (1, 1), stem=64, classes=10, **p
    ),
    "binary-densenet37": lambda **p: BinaryDenseNet(
        "binary-densenet37", (1, 2), (2,), (1, 1), stem=32, growth=32, classes=10, **p
    ),
    "binary-densenet37-dilated": lambda **p: BinaryDenseNet(
        "binary-densenet37-dilated", (1, 1, 1), (2, 1), (1, 2, 3), growth=32, classes=10, **p
    ),
    "binary-densenet45": lambda **p: BinaryDenseNet(
        "binary-densenet45", (1, 1), (2,), (1, 1), classes=10, **p
    ),
    "realtobinary": lambda **p: RealToBinaryNet(widths=(32, 64), classes=10, **p),
    "meliusnet22": lambda **p: MeliusNet(pairs=(1, 1), widths=(64,), classes=10, **p),
    "resnet18-bmxnet": lambda **p: ResNetBmxnet(
        "resnet18-bmxnet", widths=(64, 96), classes=10, **p
    ),
    "resnet18-bmxnet-fp1": lambda **p: ResNetBmxnet(
        "resnet18-bmxnet-fp1", 1, widths=(64, 96), classes=10, **p
    ),
}


def small(name: str, seed: int = 0, **options: Any) -> Network:
    """A settled network of the family with random statistics."""
    torch.manual_seed(seed)
    network = SMALL[name](**options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
    return network.settle()


def reachable(network: Network, side: int) -> list[str]:
    """The taps of a picture of that size."""
    return [
        name
        for name, tap in network.taps.items()
        if tap.smallest <= side and tap.size in (None, side)
    ]


def computed(network: Network, image: Tensor, taps: list[str]) -> dict[str, Tensor]:
    """Every map that a sign is taken of, by name, in the order of computing.

    Of a line of parts, which gives taps alone, from its modules, which compute the same.
    """
    network = network.rest if isinstance(network, LineNetwork) else network
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            # A copy: what follows may work in place.
            found[name] = output.detach().clone()

        return hook

    paths = [path for path, _ in network.named_modules() if _is_hidden(path)]
    handles = [network.get_submodule(path).register_forward_hook(keep(path)) for path in paths]
    entering = (image - network.mean) / network.std if network.normalises else image
    for name, value in network.walk(entering, set(taps)):
        found[name] = value
        if name == taps[-1]:
            break
    for handle in handles:
        handle.remove()
    return found


def _is_hidden(path: str) -> bool:
    """Whether a module gives what a sign is taken of, though it is no tap."""
    if path.startswith("transitions."):
        return path.count(".") == 1
    return path.endswith(".norm2") and path.startswith("stages.")


def decisions(name: str, value: Tensor) -> Tensor:
    if name == "dorefanet":
        return (value.clamp(0, 1) * (2**BITS - 1)).round()
    return value < 0


def distances_to_a_decision(name: str, value: Tensor) -> Tensor:
    if name == "dorefanet":
        levels = 2**BITS - 1
        return ((value * levels - 0.5).round() + 0.5 - value * levels).abs() / levels
    return value.abs()


def test_every_network_with_packed_layers_is_tested() -> None:
    assert set(SMALL) == {name for name, spec in NETWORKS.items() if spec.kind != "float"}


@pytest.mark.parametrize("side", [64, 96])
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("name", SMALL)
def test_maps_agree_until_a_sign_is_undecided(
    relative: Relative, name: str, pooling: str, side: int
) -> None:
    if not NETWORKS[name].pools and pooling == "average":
        pytest.skip("it does not pool")
    network = small(name, side, pooling=pooling)
    taps = reachable(network, side)
    image = torch.rand(1, 3, side, side)
    with torch.no_grad():
        wanted = computed(network, image, taps)
        found = computed(freeze(network, "float32"), image, taps)
    assert wanted.keys() == found.keys() and len(wanted) >= len(taps)
    agreeing = 0
    for place, value in wanted.items():
        other = found[place]
        assert other.shape == value.shape
        spread = float(value.std())
        assert relative(other, value) < 1e-5, place
        agreeing += 1
        flipped = decisions(name, value) != decisions(name, other)
        if place != "logits" and flipped.any():
            far = distances_to_a_decision(name, value)[flipped].max()
            assert float(far) < 1e-5 * spread, place
            break
    # A map of this size has a value within the rounding error of 0 hardly ever.
    assert agreeing >= 3


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", SMALL)
def test_gradients_to_the_image(relative: Relative, name: str, precision: str) -> None:
    """With average pooling: where the maximum of integers is taken, several are the largest, and
    which of them gets the gradient is for each engine to choose. A smooth estimator, since a value
    at the edge of a window may fall either way too."""
    options = {"pooling": "average"} if NETWORKS[name].pools else {}
    network = small(name, 5, **options)
    taps = reachable(network, 64)[:3]
    image = torch.rand(1, 3, 64, 64)
    found = []
    for each in (network, freeze(network, precision)):
        leaf = image.clone().requires_grad_(True)
        with image_estimator(Estimator("ede", 1.5)):
            maps = each(leaf, taps)
            loss = leaf.sum() * 0
            for value in maps.values():
                random = torch.Generator().manual_seed(3)
                upstream = torch.randn(value.shape, generator=random)
                loss = loss + (value * upstream).sum() / float(value.detach().std())
            (gradient,) = torch.autograd.grad(loss, leaf)
        found.append((maps, gradient))
    for tap in taps:
        assert relative(found[1][0][tap], found[0][0][tap]) < 1e-5
    # Relus in floats have edges as well; a value at one is off by far less than a map's worth.
    assert relative(found[1][1], found[0][1]) < {"float32": 1e-4, "bf16": 2e-2}[precision]


@pytest.mark.parametrize("precision", ["float32", "bf16", "low-bit"])
@pytest.mark.parametrize("name", ["quickbrush", "dorefanet", "resnet18-bmxnet"])
def test_the_same_again(name: str, precision: str) -> None:
    frozen = freeze(small(name), precision)
    image, taps = torch.rand(1, 3, 64, 64), reachable(frozen, 64)

    def once() -> tuple[Tensor, ...]:
        leaf = image.clone().requires_grad_(True)
        maps = frozen(leaf, taps)
        loss = sum((value.square().mean() for value in maps.values()), leaf.sum() * 0)
        return *torch.autograd.grad(loss, leaf), *(value.detach() for value in maps.values())

    for one, other in zip(once(), once(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", SMALL)
def test_latent_weights_are_not_kept(name: str) -> None:
    network = small(name)
    latent = [
        m.weight
        for m in network.modules()
        if isinstance(m, QUANTIZED_LAYERS) and why_not(m) is None
    ]
    floats = sum(weight.nbytes for weight in latent)
    rest = sum(t.nbytes for t in network.state_dict().values()) - floats
    watched = [weakref.ref(weight) for weight in latent]
    frozen = freeze(network, "float32")
    left = [m for m in frozen.modules() if isinstance(m, QUANTIZED_LAYERS)]
    # The first layer of binary-alexnet takes the picture itself.
    assert len(left) == (name == "binary-alexnet")
    del network, latent
    gc.collect()
    assert [reference() for reference in watched] == [None] * len(watched)
    kept = sum(t.nbytes for t in (*frozen.parameters(), *frozen.buffers()))
    packed = [m for m in frozen.modules() if isinstance(m, PackedConv2d)]
    bits = sum(layer.filters.words.nbytes for layer in packed)
    # Channels are filled up to multiples of 64, at 1/32 of the bytes.
    assert packed and bits < floats / 8
    # Norms are kept once where they were; folded into a layer they are kept there as well.
    assert kept < 2 * rest + 16 * sum(64 + layer.filters.channels_out for layer in packed)


def test_the_network_that_is_given_stays_as_it_is() -> None:
    network = small("quickbrush")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modules = list(network.named_modules())
    frozen = freeze(network, "bf16")
    assert [name for name, _ in modules] == [name for name, _ in network.named_modules()]
    assert all(a is b for (_, a), (_, b) in zip(modules, network.named_modules(), strict=True))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert (network.engine, network.precision) == ("float", "float32")
    assert (frozen.engine, frozen.precision) == ("packed", "bf16")
    assert frozen.taps == network.taps
    assert not frozen.training
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_a_precision_that_is_not_there() -> None:
    with pytest.raises(InputError, match="did you mean 'bf16'"):
        freeze(small("quickbrush"), "bf61")


def test_layers_that_cannot_be_packed_stay() -> None:
    network = small("quicknet")
    odd = QuantConv2d(64, 64, 3, kernel_quantizer=DoReFaWeights(2), input_quantizer=Sign())
    network.odd = odd.eval()
    frozen = freeze(network, "float32")
    kept = frozen.get_submodule("odd")
    x = torch.randn(1, 64, 4, 4)
    assert isinstance(kept, QuantConv2d) and torch.equal(kept(x), odd(x))


def test_float_weights_stay_floats() -> None:
    torch.manual_seed(0)
    network = QuickBrush(stem=32, widths=(64,), blocks=(2,), one_bit=False).settle()
    frozen = freeze(network, "float32")
    assert frozen.how["stages.0.0.conv"] == "float32: its weights are not one-bit"
    image = torch.rand(1, 3, 48, 48)
    found = frozen(image, list(network.taps))
    for tap, value in network(image, list(network.taps)).items():
        torch.testing.assert_close(found[tap], value, rtol=1e-4, atol=1e-4)
