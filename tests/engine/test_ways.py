"""What is told of how layers run is what runs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bitbrush.engine.freeze import freeze
from bitbrush.engine.precision import has_sign_tiles
from bitbrush.layers import QUANTIZED_LAYERS, QuantConv2d
from bitbrush.networks.binary_alexnet import BinaryAlexNet
from bitbrush.networks.dorefanet import DoReFaNet
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.quicknet import QuickNet
from bitbrush.networks.registry import NETWORKS
from bitbrush.networks.summary import summarise
from bitbrush.networks.xnornet import XnorNet
from bitbrush.quantizers import DoReFa, DoReFaWeights, Sign

WIDTHS = (40, 64, 70, 64, 48, 32, 32)
NARROW = {
    "xnornet": lambda: XnorNet(widths=WIDTHS, classes=10),
    "dorefanet": lambda: DoReFaNet(widths=WIDTHS, classes=10),
    "binary-alexnet": lambda: BinaryAlexNet(widths=WIDTHS, classes=10),
}
"""Those whose dense layers would take seconds."""


def gated() -> QuickNet:
    return QuickNet("quicknet", (1, 2), "pointwise", (False, True), widths=(64, 96), classes=10)


def test_blocks_run_as_one() -> None:
    how = freeze(QuickBrush(stem=16, widths=(64,), blocks=(2,)).settle()).how
    for block in ("stages.0.0", "stages.0.1"):
        way = "8-bit tiles" if has_sign_tiles() else "popcount"
        assert how[f"{block}.conv"].startswith(f"packed: {way} of 1 × 1 bit")
        assert how[f"{block}.conv"].endswith("relu + norm + residual")
        assert how[f"{block}.norm"] == f"part of {block}.conv"
    assert how["stem"].startswith("float32: ") and how["stem_norm"] == "part of stem"


def test_a_gate_runs_by_itself() -> None:
    how = freeze(gated().settle()).how
    assert how["stages.1.1.block.conv"].endswith("relu + norm")
    assert how["stages.1.1.block.norm"] == "part of stages.1.1.block.conv"
    assert how["stages.1.1.block.gate.reduce"] == "float32"
    assert how["stages.0.0.block.conv"].endswith("residual")
    assert how["stages.1.0.shortcut_norm"].startswith("float32: a scale and an offset")


def test_what_was_not_packed_says_why() -> None:
    network = gated()
    odd = QuantConv2d(64, 64, 3, kernel_quantizer=DoReFaWeights(2), input_quantizer=Sign())
    network.odd = odd
    network.bare = QuantConv2d(64, 64, 3, kernel_quantizer=Sign())
    network.border = QuantConv2d(
        8, 8, 3, kernel_quantizer=Sign(), input_quantizer=DoReFa(2), pad_value=-1.0
    )
    how = freeze(network.settle()).how
    assert how["odd"] == "float32: its weights are not one-bit"
    assert how["bare"] == "float32: its input is not quantized to bit planes"
    assert how["border"].startswith("float32: its border")


@pytest.mark.parametrize("name", [n for n, spec in NETWORKS.items() if spec.kind != "float"])
def test_every_layer_of_every_network_is_told_of(name: str) -> None:
    build = NARROW.get(name, NETWORKS[name].build)
    network = build().settle()
    how = freeze(network, "float32").how
    with torch.device("meta"):
        layers = summarise(build()).layers
    assert {layer.name for layer in layers} <= set(how)
    for path, module in network.named_modules():
        if isinstance(module, QUANTIZED_LAYERS) and module.input_quantizer is None:
            assert how[path] == "float32: its input is not quantized to bit planes"
        elif isinstance(module, QUANTIZED_LAYERS):
            assert how[path].startswith("packed: ")
        elif isinstance(module, nn.Linear | nn.BatchNorm2d):
            assert how[path].startswith(("float32", "part of "))
    for text in how.values():
        if text.startswith("part of "):
            assert not how[text.removeprefix("part of ")].startswith("part of ")


def test_a_float_network_has_nothing_to_tell() -> None:
    assert dict(gated().how) == {}
