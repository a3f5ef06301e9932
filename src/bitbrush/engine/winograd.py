"""The way back through a one-bit 3x3 convolution in 8-bit integers, for CPUs that multiply those.

Results are computed four at a time (`winograd_simd`): 16 products for what takes 36 otherwise. The
16 weights are small integers and so exact; the 16 values of a tile are rounded to 8 bits, in units
of the tile's own largest. What precedes and follows is done along the way: the scale and the mask
of the relu before, the factors of sign's gradient, the sum with the gradient around the block, and
the tap's own gradient behind.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from .backward import Backward, Surroundings
from .buffers import empty
from .kernels import WINOGRAD
from .launch import CHUNKS, address, workspace
from .packing import Filters, blocks_of
from .sizes import BLOCK, FLOATS, GAP, GROUP, LARGEST, VALUES

BEFORE = torch.tensor([[2.0, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
"""From three weights of a line to four; twice the usual, so that they are integers."""


class WinogradFilters(Backward):
    """The filters of a convolution seen from its output, in the form that the kernel takes.

    Attributes:
        weights: int8 [16, blocks of C, O / 4, 64, 4], with O up to a multiple of 64.
        base: int32 [16, blocks of C, 64], what takes the added 128 of every value away again.
    """

    def __init__(self, filters: Filters) -> None:
        super().__init__(filters)
        spread = torch.einsum("ia,coab,jb->ijco", BEFORE, self.kernel(filters), BEFORE)
        blocks, room = blocks_of(self.channels_in), BLOCK * blocks_of(self.channels_out)
        whole = torch.zeros(VALUES, BLOCK * blocks, room)
        whole[:, : self.channels_in, : self.channels_out] = spread.flatten(0, 1)
        self.base = (-(LARGEST + 1) * whole.sum(2)).int()
        arranged = whole.to(torch.int8).view(VALUES, blocks, BLOCK, room // 4, 4)
        self.weights = empty((VALUES, blocks, room // 4, BLOCK, 4), torch.int8)
        self.weights.copy_(arranged.transpose(2, 3))

    def add_gradient(self, gradient: Tensor, result: Tensor, around: Surroundings) -> None:
        images, channels, height, width = gradient.shape
        threads = torch.get_num_threads()
        down, across = -(-height // 2), -(-width // 2)
        tiles = images * down * across
        groups = -(-tiles // GROUP)
        parts = min(blocks_of(self.channels_in), -(-threads // groups))
        room = BLOCK * blocks_of(channels)
        steps, places, size = _layout(room)
        WINOGRAD(
            threads,
            chunks=groups * parts,
            runs=min(groups * parts, CHUNKS * threads),
            parts=parts,
            tiles=tiles,
            down=down,
            across=across,
            **self.arguments(gradient, result, around),
            weights=address(self.weights),
            base=address(self.base),
            **workspace(size).arguments(),
            **steps,
            **places,
        )


@cache
def _layout(room: int) -> tuple[dict[str, int], dict[str, int], int]:
    """Steps between kinds of value, where the parts of a thread's workspace begin, and its size.

    Args:
        room: channels, up to a multiple of 64.
    """
    steps = {
        "values_step": 4 * room + GAP,
        "octets_step": GROUP * room + GAP,
        "sums_step": GROUP * FLOATS + 2 * GAP,
    }
    words = 8 * (room // BLOCK)
    sizes = {
        "octets": VALUES * steps["octets_step"],
        "sums": VALUES * steps["sums_step"],
        "units": 4 * GROUP,
        "none": words,
        "whole": words,
        "copies": VALUES * 4 * room,
    }
    end = VALUES * steps["values_step"]
    places = {}
    for name, size in sizes.items():
        places[name] = end
        end += -(-size // GAP) * GAP
    return steps, places, end
