"""Counts a network's weights, memory and multiply-accumulates by the bits they take, as larq does.

Larq's rules: a kernel counts with the bits of its quantizer, everything else with 32. Batch norm
counts two vectors a channel, since its scale and shift can be fused with its mean and variance. The
multiply-accumulates of a convolution are its kernel's values times the output pixels, without bias;
their precision is the larger of input and kernel bits. Other arithmetic is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import QUANTIZED_LAYERS, BlurPool2d
from .taps import Network

FLOAT_BITS = 32
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
MULTIPLYING = (nn.Conv2d, nn.Linear, *QUANTIZED_LAYERS, BlurPool2d)


@dataclass(frozen=True)
class LayerSummary:
    """One layer that has weights.

    Attributes:
        name: path of the module in the network.
        kind: its class.
        input_bits: of its quantized input; None if the input is float or nothing is multiplied.
        output: shape without the batch, or None if the deepest tap does not need the layer.
        weights: how many weights there are of each bit width.
        macs: multiply-accumulates for one picture, by precision in bits.
        trainable: how many of the weights training would change as the network stands: not batch
            norm's statistics nor fixed kernels, and nothing of a settled network.
    """

    name: str
    kind: str
    input_bits: int | None
    output: tuple[int, ...] | None
    weights: Mapping[int, int]
    macs: Mapping[int, int]
    trainable: int

    @property
    def bits(self) -> int:
        """Memory of the weights in bits."""
        return sum(width * count for width, count in self.weights.items())


@dataclass(frozen=True)
class Summary:
    """A network's layers and totals, for a square picture.

    Attributes:
        network: its name.
        size: side of the picture in pixels.
        layers: those that have weights, in the network's order.
    """

    network: str
    size: int
    layers: tuple[LayerSummary, ...] = field(repr=False)

    @property
    def weights(self) -> dict[int, int]:
        """How many weights there are of each bit width, narrowest first."""
        return _total([layer.weights for layer in self.layers])

    @property
    def macs(self) -> dict[int, int]:
        """Multiply-accumulates for one picture by precision in bits, narrowest first."""
        return _total([layer.macs for layer in self.layers])

    @property
    def parameters(self) -> int:
        """All weights, of any width."""
        return sum(self.weights.values())

    @property
    def trainable(self) -> int:
        """Weights that training would change; 0 in a settled network."""
        return sum(layer.trainable for layer in self.layers)

    @property
    def one_bit_share(self) -> float:
        """Share of the weights that take one bit, 0..1."""
        return self.weights.get(1, 0) / self.parameters

    @property
    def mib(self) -> float:
        """Memory of the weights in MiB, each at its own width."""
        return sum(layer.bits for layer in self.layers) / 8 / 2**20

    @property
    def mib_float8(self) -> float:
        """The same with 8 bits for every weight of 32."""
        bits = sum(min(width, 8) * count for width, count in self.weights.items())
        return bits / 8 / 2**20

    @property
    def mib_float32(self) -> float:
        """The same with 32 bits for every weight."""
        return self.parameters * 4 / 2**20

    @property
    def compression(self) -> float:
        """How many times smaller than at 32 bits the weights are."""
        return self.mib_float32 / self.mib

    @property
    def total_macs(self) -> int:
        """Multiply-accumulates for one picture, of any precision."""
        return sum(self.macs.values())

    @property
    def binary_macs_share(self) -> float:
        """Share of the multiply-accumulates whose two operands take one bit, 0..1."""
        return self.macs.get(1, 0) / self.total_macs if self.total_macs else 0.0


@torch.no_grad()
def summarise(network: Network, size: int = 224) -> Summary:
    """What a network weighs and computes for one square picture, down to its deepest tap.

    Args:
        network: on any device; on the meta device nothing is computed or allocated.
        size: side of the picture in pixels.
    Raises:
        InputError: the deepest tap does not exist at that size.
    """
    outputs: dict[str, list[Tensor]] = {}

    def record(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            outputs.setdefault(name, []).append(output)

        return hook

    counted = {name: m for name, m in network.named_modules() if _weights(m)}
    handles = [module.register_forward_hook(record(name)) for name, module in counted.items()]
    was_training = network.training
    try:
        # Batch norm in training mode would count the empty picture into its statistics.
        network.eval()
        network(network.mean.new_zeros(1, 3, size, size), [list(network.taps)[-1]])
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    layers = tuple(_layer(name, m, outputs.get(name, [])) for name, m in counted.items())
    return Summary(network.name, size, layers)


def _weights(module: nn.Module) -> dict[int, int]:
    """The weights that a module itself holds, by bits."""
    if isinstance(module, NORMS):
        return {FLOAT_BITS: 2 * module.num_features}
    if isinstance(module, BlurPool2d):
        return {FLOAT_BITS: module.kernel.numel()}
    counts: Counter[int] = Counter()
    for name, parameter in module.named_parameters(recurse=False):
        counts[_kernel_bits(module) if name == "weight" else FLOAT_BITS] += parameter.numel()
    return dict(counts)


def _kernel_bits(module: nn.Module) -> int:
    if isinstance(module, QUANTIZED_LAYERS) and module.kernel_quantizer is not None:
        return module.kernel_quantizer.precision
    return FLOAT_BITS


def _input_bits(module: nn.Module) -> int | None:
    if isinstance(module, QUANTIZED_LAYERS) and module.input_quantizer is not None:
        return module.input_quantizer.precision
    return None


def _layer(name: str, module: nn.Module, outputs: list[Tensor]) -> LayerSummary:
    weights = _weights(module)
    macs: dict[int, int] = {}
    if isinstance(module, MULTIPLYING) and outputs:
        kernel = module.kernel if isinstance(module, BlurPool2d) else module.weight
        assert isinstance(kernel, Tensor)
        precision = max(_input_bits(module) or FLOAT_BITS, _kernel_bits(module))
        macs[precision] = sum(kernel.numel() * output[0, 0].numel() for output in outputs)
    return LayerSummary(
        name=name,
        kind=type(module).__name__,
        input_bits=_input_bits(module),
        output=tuple(outputs[-1].shape[1:]) if outputs else None,
        weights=weights,
        macs=macs,
        trainable=0 if isinstance(module, NORMS) else _trainable(module),
    )


def _trainable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad)


def _total(counts: list[Mapping[int, int]]) -> dict[int, int]:
    total: Counter[int] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
