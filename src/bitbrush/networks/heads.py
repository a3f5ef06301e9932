"""Classifiers for other classes than the ones a network was made for."""

from __future__ import annotations

from torch import nn

from ..errors import InputError
from ..layers import Conv2d
from .taps import Network


def set_classes(network: Network, classes: int) -> None:
    """Gives a network a new head for so many classes, with fresh weights.

    The head is the last layer that multiplies; nothing else is touched.

    Args:
        network: one with logits.
        classes: at least 2.
    Raises:
        InputError: a network without logits, or fewer classes.
    """
    if "logits" not in network.taps:
        raise InputError(f"{network.name} has no classifier")
    if classes < 2:
        raise InputError(f"a classifier needs two classes at least, not {classes}")
    path, head = [
        (path, module)
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | Conv2d)
    ][-1]
    made: nn.Module
    if isinstance(head, nn.Linear):
        made = nn.Linear(head.in_features, classes, bias=head.bias is not None)
    else:
        kernel, bias = head.kernel_size[0], head.bias is not None
        made = Conv2d(head.in_channels, classes, kernel, bias=bias)
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, made)
