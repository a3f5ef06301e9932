"""One-bit convolutions in training, computed on bits and 8-bit integers in place of floats.

The way forward and the gradient of the input are those of a frozen layer, which is made anew from
the latent weights at each step; the gradient of the weights is a product of integers (Zhou et al.
2016 round gradients in training by chance, too).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..engine.backward import KERNEL
from ..engine.modules import PackedConv2d
from ..engine.octets import sign_grid, weight_gradient
from ..engine.precision import best_precision
from ..engine.rounding import current_rounding_seed
from ..layers import QuantConv2d
from ..networks.taps import Network
from ..quantizers import Estimator, Sign


class BitConv2d(QuantConv2d):
    """A convolution of signs with signs, which is computed on bits while it is trained on a CPU."""

    def __init__(self, layer: QuantConv2d) -> None:
        """Args:
        layer: what it takes the place of, and shares the weight with; one that `fits`.
        """
        super().__init__(
            layer.channels_in,
            layer.channels_out,
            KERNEL,
            padding=layer.padding,
            input_quantizer=layer.input_quantizer,
            kernel_quantizer=layer.kernel_quantizer,
            pad_value=layer.pad_value,
            clip=layer.clip,
        )
        self.weight = layer.weight
        assert isinstance(layer.input_quantizer, Sign) and isinstance(layer.kernel_quantizer, Sign)
        self._of_input = layer.input_quantizer.estimator
        self._of_weight = layer.kernel_quantizer.estimator

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C_in, H, W], real-valued; returns [N, C_out, H', W'], as float32 on a CPU."""
        if x.device.type != "cpu":
            return super().forward(x)
        x = x.float().contiguous(memory_format=torch.channels_last)
        one = torch.ones(self.channels_out)
        frozen = PackedConv2d(
            self.weight.detach(),
            one,
            torch.zeros_like(one),
            stride=1,
            padding=self.padding,
            pad_value=self.pad_value,
            estimator=self._of_input,
            precision=best_precision(),
        )
        result: Tensor = frozen(x)
        if not torch.is_grad_enabled():
            return result
        signs = sign_grid(x.detach(), int(self.pad_value))
        learned: Tensor = _Learned.apply(result, self.weight, signs, self._of_weight)  # type: ignore[no-untyped-call]
        return learned


class _Learned(torch.autograd.Function):
    """A result as it is, which leaves the gradient of the weights behind on the way back."""

    @staticmethod
    def forward(
        ctx: Any, result: Tensor, weight: Tensor, signs: Tensor, estimator: Estimator
    ) -> Tensor:
        ctx.save_for_backward(weight, signs)
        ctx.estimator = estimator
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        weight, signs = ctx.saved_tensors
        gradient = gradients[0].float().contiguous(memory_format=torch.channels_last)
        own = weight_gradient(gradient, signs, weight.shape[1], current_rounding_seed())
        return gradient, own * ctx.estimator.factor(weight), None, None


def on_bits(network: Network) -> int:
    """Replaces the convolutions of a network that can be computed so; the weights stay the same.

    Returns:
        how many these are.
    """
    found = fitting(network)
    for name, module in found.items():
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, BitConv2d(module))
    return len(found)


def fitting(network: Network) -> dict[str, QuantConv2d]:
    """The convolutions that `fits` is true of, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, QuantConv2d) and fits(module)
    }


def fits(layer: QuantConv2d) -> bool:
    """Whether a layer is a convolution of signs with signs, 3x3, of stride 1, as large after it."""
    return (
        layer.kernel_size == KERNEL
        and layer.stride == layer.dilation == 1
        and layer.padding in ("same", 1)
        and layer.bias is None
        and isinstance(layer.input_quantizer, Sign)
        and isinstance(layer.kernel_quantizer, Sign)
    )
