"""A larger quickbrush that starts as a smaller, trained one: it tells as much, and can learn more.

After Net2Net (Chen, Goodfellow and Shlens, 2016), for one-bit layers: each channel is repeated, so
a one-bit convolution gives a multiple of what it gave, which its batch norm takes out again; blocks
that are added have a batch norm of zeros, and so hand on what they get. A channel and its
repetitions are compared with thresholds that lie apart: together they tell more than one bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..networks.quickbrush import Block, QuickBrush, Transition

LATENT = 0.2
"""Largest latent weight at the start; the smallest is 0."""

APART = 0.2
"""How far the first and the last repetition of a channel are moved from where it was, in units of
its standard deviation before the first block of its stage."""


@torch.no_grad()
def grow(small: QuickBrush, large: QuickBrush, apart: float = APART) -> None:
    """Gives the larger network the smaller one's weights, so that both tell much the same.

    Only signs of one-bit weights are taken over. How sure they are is drawn anew (from torch's own
    random numbers), which is what sets a channel and its repetition on different ways.

    Args:
        small: trained; latent or settled.
        large: its stem and each of its stages as wide as the small one's or a whole number of times
            as wide, and no stage shorter.
        apart: see `APART`; with 0 both networks compute the same.
    Raises:
        InputError: it is not; or one is a float network and the other is not.
    """
    if small.one_bit != large.one_bit or len(small.stages) != len(large.stages):
        raise InputError(f"{large.name} is not of the kind of {small.name}")
    times = _times(small.stem, large.stem)
    large.stem.weight.copy_(_rows(small.stem.weight, times))
    assert small.stem.bias is not None and large.stem.bias is not None
    large.stem.bias.copy_(_rows(small.stem.bias, times))
    _grow_norm(small.stem_norm, large.stem_norm, times)
    for (old, blocks), (new, wanted) in zip(_stages(small), _stages(large), strict=True):
        entering, times = times, _times(old.conv, new.conv)
        new.conv.weight.copy_(old.conv.weight.repeat(times, entering, 1, 1) / entering)
        _grow_norm(old.norm, new.norm, times)
        _set_apart(new.norm, times, apart)
        if len(wanted) < len(blocks):
            raise InputError(f"{large.name} has a shorter stage than {small.name}")
        for old_block, new_block in zip(blocks, wanted, strict=False):
            _grow_block(old_block, new_block, times)
        for added in wanted[len(blocks) :]:
            added.norm.weight.zero_()


def _stages(network: QuickBrush) -> Iterator[tuple[Transition, list[Block]]]:
    for transition, stage in zip(network.transitions, network.stages, strict=True):
        yield cast(Transition, transition), list(cast(Iterable[Block], stage))


def _times(old: nn.Conv2d, new: nn.Conv2d) -> int:
    times, rest = divmod(new.out_channels, old.out_channels)
    if rest:
        raise InputError(
            f"{new.out_channels} channels are no whole number of times {old.out_channels}"
        )
    return times


def _grow_block(old: Block, new: Block, times: int) -> None:
    weight = old.conv.kernel().repeat(times, times, 1, 1)
    if new.conv.kernel_quantizer is not None:
        weight = weight.sign() * torch.rand_like(weight) * LATENT
        sums = times  # of so many equal terms in place of one
    else:
        weight, sums = weight / times, 1
    new.conv.weight.copy_(weight)
    _grow_norm(old.norm, new.norm, times, sums)


def _grow_norm(old: nn.BatchNorm2d, new: nn.BatchNorm2d, times: int, sums: int = 1) -> None:
    """Repeats a batch norm, whose input has become `sums` times what it was."""
    for name, factor in (("weight", 1), ("bias", 1), ("running_mean", sums)):
        getattr(new, name).copy_(_rows(getattr(old, name), times) * factor)
    assert old.running_var is not None and new.running_var is not None
    # The epsilon, too, is to weigh what it did.
    grown = (old.running_var + old.eps) * sums**2 - new.eps
    new.running_var.copy_(_rows(grown, times))


def _set_apart(norm: nn.BatchNorm2d, times: int, apart: float) -> None:
    if times > 1:
        moves = torch.linspace(-apart, apart, times).repeat_interleave(len(norm.bias) // times)
        norm.bias.add_(moves.to(norm.bias) * norm.weight.abs())


def _rows(values: Tensor, times: int) -> Tensor:
    return values.repeat(times, *[1] * (values.dim() - 1))
