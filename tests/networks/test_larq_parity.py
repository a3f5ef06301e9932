"""Agreement with larq-zoo on what tools/goldens/networks.py recorded there.

Narrow networks are in tests/golden/networks; the whole ones are checked where
BITBRUSH_LARQ_GOLDENS names a folder that holds them.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bitbrush.layers import QUANTIZED_LAYERS, PoolKind
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
from bitbrush.quantizers import DoReFa
from bitbrush.weights.keras_h5 import read_keras_h5

GOLDEN = Path(__file__).parents[1] / "golden" / "networks"
TOLERANCE = 1e-5
FAMILIES = {
    "quicknet": quicknet,
    "quicknet-large": quicknet,
    "quicknet-xl": quicknet,
    "quicknet-v1-small": quicknet_v1,
    "quicknet-v1": quicknet_v1,
    "quicknet-v1-large": quicknet_v1,
    "xnornet": xnornet,
    "dorefanet": dorefanet,
    "binary-alexnet": binary_alexnet,
    "birealnet": birealnet,
    "resnet-e18": birealnet,
    "binary-densenet28": binary_densenet,
    "binary-densenet37": binary_densenet,
    "binary-densenet37-dilated": binary_densenet,
    "binary-densenet45": binary_densenet,
    "realtobinary": realtobinary,
    "meliusnet22": meliusnet,
}


def small(name: str, pooling: PoolKind = "max") -> Network:
    """The network as narrow as the recorded one."""
    if name == "quicknet":
        widths = (16, 32, 64, 64)
        return QuickNet(
            name,
            (1, 2, 2, 1),
            "concat",
            (False,) * 4,
            widths=widths,
            stem=2,
            classes=10,
            pooling=pooling,
        )
    if name == "quicknet-large":
        gated = (False, False, True, True)
        widths = (16, 24, 32, 48)
        return QuickNet(
            name,
            (1, 2, 2, 2),
            "pointwise",
            gated,
            widths=widths,
            stem=2,
            classes=10,
            pooling=pooling,
        )
    if name == "quicknet-v1":
        return QuickNetV1(name, (1, 1, 2, 2), (16, 16, 24, 32), classes=10, pooling=pooling)
    if name in NARROW:
        return NARROW[name](classes=10, pooling=pooling)
    builder = XnorNet if name == "xnornet" else DoReFaNet
    return builder(widths=[width // 32 for width in xnornet.WIDTHS], classes=10, pooling=pooling)


NARROW: dict[str, Callable[..., Network]] = {
    "binary-alexnet": partial(BinaryAlexNet, widths=[w // 32 for w in binary_alexnet.WIDTHS]),
    "birealnet": partial(BiRealNet, "birealnet", BIREAL, widths=(8, 16, 32, 64)),
    "resnet-e18": partial(
        BiRealNet, "resnet-e18", RESNET_E, widths=(8, 16, 32, 64), blocks=(4, 2, 4, 2)
    ),
    "binary-densenet28": partial(
        BinaryDenseNet, "binary-densenet28", (2, 1, 2, 2), (2.7, 2.7, 2.2), stem=32, growth=16
    ),
    "binary-densenet37-dilated": partial(
        BinaryDenseNet,
        "binary-densenet37-dilated",
        (2, 2, 4, 1),
        (3.3, 3.3, 4),
        (1, 1, 2, 4),
        stem=32,
        growth=16,
    ),
    "realtobinary": partial(RealToBinaryNet, widths=(8, 16, 32, 64)),
    "meliusnet22": partial(MeliusNet, pairs=(1, 1), widths=(32,)),
}
ALEXNETS = ("xnornet", "dorefanet", "binary-alexnet")
SMALL = ("quicknet", "quicknet-large", "quicknet-v1", "xnornet", "dorefanet", *NARROW)


@dataclass(frozen=True)
class Recorded:
    """One picture's numbers, as N, C, H, W."""

    arrays: dict[str, Tensor]
    relu: bool

    @classmethod
    def read(cls, path: Path) -> Recorded:
        with np.load(path) as file:
            meta = json.loads(str(file["meta"]))
            arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}
            # Sums are stored as small integers, and inputs that are taps only once.
            arrays = {k: v.float() if v.dtype == torch.int16 else v for k, v in arrays.items()}
            arrays |= {key: arrays[tap] for key, tap in meta.get("same", {}).items()}
        planes = {
            key: value.permute(0, 3, 1, 2) if value.dim() == 4 else value
            for key, value in arrays.items()
        }
        return cls(planes, meta["relu"])

    @property
    def image(self) -> Tensor:
        return self.arrays["image"].to(torch.float32) / 255


def load(network: Network, path: Path) -> Network:
    state = FAMILIES[network.name].from_keras(read_keras_h5(path), network)
    network.load_state_dict(state, strict=True)
    return network.eval()


def distance(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).norm() / theirs.norm())


def quantized(network: Network) -> list[nn.Module]:
    return [
        module
        for module in network.modules()
        if isinstance(module, QUANTIZED_LAYERS) and module.input_quantizer is not None
    ]


def planes_of(layer: nn.Module, network: Network, recorded: Tensor) -> Tensor:
    """Keras flattens H, W, C before the first dense layer, torch C, H, W."""
    if isinstance(network, DoReFaNet) and layer is network.dense6:
        return recorded.unflatten(1, (6, 6, -1)).permute(0, 3, 1, 2).flatten(1)
    if isinstance(network, BinaryAlexNet) and layer is network.convs[5]:
        return recorded.flatten(1).unflatten(1, (6, 6, -1)).permute(0, 3, 1, 2)
    return recorded


@torch.no_grad()
def layer_distances(network: Network, recorded: Recorded) -> list[float]:
    """How far each quantized layer is from larq's, fed larq's own input."""
    found = []
    for index, layer in enumerate(quantized(network)):
        out = layer(planes_of(layer, network, recorded.arrays[f"input{index}"]))
        out = torch.relu(out) if recorded.relu else out
        found.append(distance(out, recorded.arrays[f"output{index}"]))
    assert f"input{len(found)}" not in recorded.arrays
    return found


@torch.no_grad()
def tap_distances(network: Network, recorded: Recorded) -> tuple[list[float], int]:
    """How far each tap is from larq's, up to a layer whose input quantizes otherwise.

    Such a flip must be one: larq's own value lies within 1e-5 standard deviations of the
    quantizer's threshold. Behind it, both networks are right and differ.

    Returns:
        the distances of taps and logits before any flip, and how many values flipped in the
        first layer that has one.
    """
    inputs: list[Tensor] = []
    layers = quantized(network)
    handles = [
        layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0])) for layer in layers
    ]
    try:
        taps = network(recorded.image, list(network.taps))
    finally:
        for handle in handles:
            handle.remove()
    names = list(network.taps)[:-1]
    distances = {
        name: distance(taps[name], recorded.arrays[f"tap{i}"]) for i, name in enumerate(names)
    }
    distances["logits"] = distance(taps["logits"], recorded.arrays["logits"])
    for index, layer in enumerate(layers):
        theirs = planes_of(layer, network, recorded.arrays[f"input{index}"])
        quantizer = layer.input_quantizer
        flips = quantizer(inputs[index]) != quantizer(theirs)
        if flips.any():
            thresholds = (
                torch.tensor([1, 3, 5]) / 6 if isinstance(quantizer, DoReFa) else torch.zeros(1)
            )
            margin = (theirs[flips][:, None] - thresholds).abs().amin(1)
            assert float(margin.max()) <= TOLERANCE * float(theirs.std())
            # Tap i, counted from the stem's 0, is there before layer i looks at its input.
            return list(distances.values())[: index + 1], int(flips.sum())
    return list(distances.values()), 0


def unzipped(name: str, folder: Path) -> Path:
    path = folder / f"{name}.h5"
    path.write_bytes(gzip.decompress((GOLDEN / f"{name}.h5.gz").read_bytes()))
    return path


@pytest.mark.parametrize("name", SMALL)
def test_narrow_network_agrees_with_larq(name: str, tmp_path: Path) -> None:
    network = load(small(name), unzipped(name, tmp_path))
    recorded = Recorded.read(GOLDEN / f"{name}-0.npz")
    assert max(layer_distances(network, recorded)) <= TOLERANCE
    taps, flips = tap_distances(network, recorded)
    assert flips == 0
    assert max(taps) <= TOLERANCE
    assert len(taps) == len(network.taps)


@pytest.mark.parametrize("name", SMALL)
def test_settling_leaves_the_numbers(name: str, tmp_path: Path) -> None:
    network = load(small(name), unzipped(name, tmp_path)).settle()
    recorded = Recorded.read(GOLDEN / f"{name}-0.npz")
    assert max(layer_distances(network, recorded)) <= TOLERANCE


def logits_and_gradient(network: Network, image: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of the weighted sum of the logits to the normalised picture, at some pixels."""
    image = image.requires_grad_()
    logits = network(image, ["logits"])["logits"]
    total = (logits * torch.linspace(-1, 1, logits.shape[1])).sum()
    (gradient,) = torch.autograd.grad(total, image)
    every = max(1, image.shape[2] // 32)
    return logits.detach(), (gradient * network.std)[:, :, ::every, ::every]


# Not the alexnets: their pools see integers, and to which of two equal ones the gradient goes
# is left to rounding.
@pytest.mark.parametrize("name", [name for name in SMALL if name not in ALEXNETS])
def test_gradient_to_the_picture_agrees_with_larq(name: str, tmp_path: Path) -> None:
    network = load(small(name), unzipped(name, tmp_path))
    recorded = Recorded.read(GOLDEN / f"{name}-0.npz")
    _, gradient = logits_and_gradient(network, recorded.image)
    assert distance(gradient, recorded.arrays["gradient"]) <= TOLERANCE


@pytest.mark.parametrize("name", SMALL)
def test_average_pools_agree_with_larq(name: str, tmp_path: Path) -> None:
    network = load(small(name, "average"), unzipped(name, tmp_path))
    recorded = Recorded.read(GOLDEN / f"{name}-0.npz")
    logits, gradient = logits_and_gradient(network, recorded.image)
    assert distance(logits, recorded.arrays["average_logits"]) <= TOLERANCE
    assert distance(gradient, recorded.arrays["average_gradient"]) <= TOLERANCE


WHOLE = os.environ.get("BITBRUSH_LARQ_GOLDENS")


@pytest.mark.slow
@pytest.mark.skipif(WHOLE is None, reason="BITBRUSH_LARQ_GOLDENS names no folder of recordings")
@pytest.mark.parametrize("name", list(FAMILIES))
def test_whole_network_agrees_with_larq(name: str) -> None:
    folder = Path(WHOLE or "")
    network = load(NETWORKS[name].build(), folder / f"{name}.h5")
    pictures = sorted(folder.glob(f"{name}-[0-9].npz"))
    assert pictures
    undisturbed = 0
    for path in pictures:
        recorded = Recorded.read(path)
        layers = max(layer_distances(network, recorded))
        taps, flips = tap_distances(network, recorded)
        print(
            f"{path.name} {tuple(recorded.image.shape[2:])}: layers {layers:.1e}, "
            f"{len(taps)} of {len(network.taps)} taps {max(taps):.1e}, first flips {flips}"
        )
        assert layers <= TOLERANCE
        assert max(taps) <= TOLERANCE
        undisturbed += flips == 0
    assert undisturbed
