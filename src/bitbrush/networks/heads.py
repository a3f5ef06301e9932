"""Classifiers for other classes than the ones a network was made for."""

from __future__ import annotations

from torch import nn

from ..errors import InputError
from ..layers import Conv2d, QuantConv2d, QuantLinear
from .taps import Network


def head_of(network: Network) -> tuple[str, nn.Linear | Conv2d | QuantConv2d | QuantLinear]:
    """The last layer that multiplies, which gives the logits, and its path.

    Raises:
        InputError: a network without logits.
    """
    if "logits" not in network.taps:
        raise InputError(f"{network.name} has no classifier")
    return [
        (path, module)
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | Conv2d | QuantConv2d | QuantLinear)
    ][-1]


def set_classes(network: Network, classes: int) -> None:
    """Gives a network a new head for so many classes, with fresh weights.

    The head is the last layer that multiplies and, where that is quantized, the batch norm that
    makes logits of its sums; nothing else is touched.

    Args:
        network: one with logits.
        classes: at least 2.
    Raises:
        InputError: a network without logits, or fewer classes.
    """
    path, head = head_of(network)
    if classes < 2:
        raise InputError(f"a classifier needs two classes at least, not {classes}")
    made: nn.Module
    if isinstance(head, QuantConv2d | QuantLinear):
        made = _quantized(head, classes)
        norm_path, norm = [
            (path, module)
            for path, module in network.named_modules()
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
        ][-1]
        fresh = type(norm)(classes, norm.eps, norm.momentum)
        fresh.weight.requires_grad_(norm.weight.requires_grad)
        _replace(network, norm_path, fresh)
    elif isinstance(head, nn.Linear):
        made = nn.Linear(head.in_features, classes, bias=head.bias is not None)
    else:
        kernel, bias = head.kernel_size[0], head.bias is not None
        made = Conv2d(head.in_channels, classes, kernel, bias=bias)
    _replace(network, path, made)


def _quantized(head: QuantConv2d | QuantLinear, classes: int) -> nn.Module:
    quantizers = {
        "input_quantizer": head.input_quantizer,
        "kernel_quantizer": head.kernel_quantizer,
        "clip": head.clip,
    }
    if isinstance(head, QuantLinear):
        return QuantLinear(head.weight.shape[1], classes, **quantizers)  # type: ignore[arg-type]
    return QuantConv2d(head.channels_in, classes, head.kernel_size, **quantizers)  # type: ignore[arg-type]


def _replace(network: Network, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
