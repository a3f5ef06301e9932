"""Counts of weights, memory and multiply-accumulates against larq's published totals."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bitbrush.errors import InputError
from bitbrush.layers import BlurPool2d, Conv2d, QuantConv2d, QuantLinear
from bitbrush.networks.registry import network_spec
from bitbrush.networks.summary import Summary, summarise
from bitbrush.networks.taps import Network, Tap
from bitbrush.quantizers import DoReFa, DoReFaWeights, Sign

SHARED = Path(__file__).parents[2] / ".." / "shared" / "weights"


class Tiny(Network):
    def __init__(self) -> None:
        super().__init__("tiny", {"blur": Tap(stride=4), "out": Tap(stride=0)})
        self.conv = Conv2d(3, 4, 3, 2, bias=True)
        self.norm = nn.BatchNorm2d(4)
        self.quant = QuantConv2d(4, 8, 3, input_quantizer=Sign(), kernel_quantizer=Sign())
        self.mixed = QuantConv2d(8, 8, 1, input_quantizer=DoReFa(2), kernel_quantizer=Sign())
        self.prelu = nn.PReLU(8)
        self.blur = BlurPool2d(8)
        self.dense = QuantLinear(8, 5, kernel_quantizer=DoReFaWeights(2))

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.blur(self.prelu(self.mixed(self.quant(self.norm(self.conv(x))))))
        yield "blur", x
        yield "out", self.dense(x.mean((2, 3)))


def on_meta(name: str, size: int = 224) -> Summary:
    with torch.device("meta"):
        return summarise(network_spec(name).build(), size)


def test_each_rule_on_a_tiny_network() -> None:
    network = Tiny()
    network.train()
    summary = summarise(network, 32)
    rows = {layer.name: layer for layer in summary.layers}
    assert rows["conv"].weights == {32: 3 * 4 * 9 + 4}
    assert rows["conv"].macs == {32: 3 * 4 * 9 * 16 * 16}  # no bias
    assert rows["conv"].output == (4, 16, 16)
    assert rows["norm"].weights == {32: 8} and rows["norm"].macs == {}
    assert rows["quant"].weights == {1: 4 * 8 * 9}
    assert rows["quant"].macs == {1: 4 * 8 * 9 * 256}
    assert rows["quant"].input_bits == 1
    assert rows["mixed"].weights == {1: 64} and rows["mixed"].macs == {2: 64 * 256}
    assert rows["prelu"].weights == {32: 8} and rows["prelu"].macs == {}
    assert rows["blur"].weights == {32: 72} and rows["blur"].macs == {32: 72 * 64}
    assert rows["dense"].weights == {2: 40} and rows["dense"].macs == {32: 40}
    assert summary.weights == {1: 352, 2: 40, 32: 200}
    assert summary.parameters == 592
    assert summary.mib == (352 + 80 + 6400) / 8 / 2**20
    assert summary.mib_float8 == (352 + 80 + 1600) / 8 / 2**20
    assert summary.compression == pytest.approx(592 * 32 / 6832)
    assert summary.trainable == 112 + 288 + 64 + 8 + 40
    # Looking at a network must not change it.
    assert network.training and network.norm.num_batches_tracked == 0
    assert summarise(network.settle(), 32).trainable == 0


@pytest.mark.parametrize(
    ("name", "parameters", "mib", "one_bit", "giga_macs", "binary_share"),
    [
        ("quicknet", 10_511_232, 3.18, 9_990_144, 1.25, 0.9960),
        ("quicknet-large", 11_819_136, 4.49, 10_985_472, 1.70, 0.9856),
        ("quicknet-xl", 22_058_368, 6.22, 21_086_208, 3.55, 0.9931),
        ("quicknet-v1-small", 12_655_688, 4.00, None, None, None),
        ("quicknet-v1", 13_234_088, 4.17, None, None, None),
        ("quicknet-v1-large", 23_342_248, 5.40, None, None, None),
        ("xnornet", 62_387_104, 22.77, None, None, None),
        ("dorefanet", 62_394_440, 22.80, None, None, None),
        ("binary-alexnet", 61_848_720, 7.45, None, None, None),
        ("birealnet", 11_689_512, 4.00, None, None, None),
        ("resnet-e18", 11_689_640, 4.00, None, None, None),
        ("binary-densenet28", 5_131_496, 4.04, None, None, None),
        ("binary-densenet37", 8_702_248, 5.13, None, None, None),
        ("binary-densenet37-dilated", 8_702_248, 5.13, None, None, None),
        ("binary-densenet45", 13_889_512, 7.35, None, None, None),
        ("realtobinary", 11_986_920, 5.13, None, None, None),
        ("meliusnet22", 6_944_584, 3.88, None, None, None),
    ],
)
def test_larqs_totals(
    name: str,
    parameters: int,
    mib: float,
    one_bit: int | None,
    giga_macs: float | None,
    binary_share: float | None,
) -> None:
    summary = on_meta(name)
    assert summary.parameters == parameters
    assert round(summary.mib, 2) == mib
    if one_bit is not None and giga_macs is not None:
        assert summary.weights[1] == one_bit
        assert round(summary.total_macs / 1e9, 2) == giga_macs
        assert round(summary.binary_macs_share, 4) == binary_share


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("squeezenet", "squeezenet1_1_imagenet.safetensors"),
        ("vgg19-16x", "vgg19_16x_relu5_1.safetensors"),
        ("vgg19-normalised", "vgg19_normalised_relu3_1.safetensors"),
    ],
)
def test_float_networks_have_their_files_sizes(name: str, file: str) -> None:
    from safetensors import safe_open

    if not (SHARED / file).exists():
        pytest.skip(f"{file} is not here")
    with safe_open(SHARED / file, framework="pt") as arrays:
        held = sum(prod(arrays.get_slice(key).get_shape()) for key in arrays.keys())  # noqa: SIM118
    assert on_meta(name).parameters == held


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("resnet18-bmxnet", "binarized_imagenet-resnet18-64bit-0040.params"),
        (
            "resnet18-bmxnet-fp1",
            "binarized_imagenet-resnet18-64bit-1st-stage-fullprecision-0038.params",
        ),
    ],
)
def test_bmxnet_has_its_files_sizes(name: str, file: str) -> None:
    from bitbrush.weights.mxnet_params import read_mxnet_params

    if not (SHARED / file).exists():
        pytest.skip(f"{file} is not here")
    arrays = read_mxnet_params(SHARED / file)
    summary = on_meta(name)
    words = sum(a.size for a in arrays.values() if a.dtype == "uint64")
    assert summary.weights[1] == words * 64
    # The file holds four vectors for each batch norm, of which larq counts two.
    floats = sum(
        a.size
        for key, a in arrays.items()
        if a.dtype == "float32" and not key.endswith(("_gamma", "_beta"))
    )
    assert summary.weights[32] == floats


def test_vgg_counts_what_torchvision_publishes() -> None:
    assert on_meta("vgg16").parameters == 138_357_544
    assert on_meta("vgg19").parameters == 143_667_240


def test_a_size_the_network_does_not_have() -> None:
    with pytest.raises(InputError, match="224x224"):
        on_meta("dorefanet", 256)


def test_the_float_twin_has_all_that_quickbrush_has_but_bits() -> None:
    ours, twin = on_meta("quickbrush"), on_meta("quickbrush-float")
    assert twin.one_bit_share == 0 and ours.one_bit_share > 0.9
    assert [layer.output for layer in twin.layers] == [layer.output for layer in ours.layers]
    assert network_spec("quickbrush-float").build().taps == network_spec("quickbrush").build().taps
