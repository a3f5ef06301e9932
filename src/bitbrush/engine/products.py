"""A matrix for every position of a map: 1x1 convolutions, and the gradients of statistics.

With matrices in float32 or, for gradients on CPUs that multiply in it, in bfloat16.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .kernels import MAP, MAP_TILES
from .launch import CHUNKS, address, workspace
from .packing import padded
from .precision import has_half_products, has_tiles
from .sizes import (
    GAP,
    LANES,
    MAKE_PAIRS,
    PAIRS,
    POSITIONS_AT_ONCE,
    RESULTS,
    ROW,
    TILE,
    WHOLE,
)


@dataclass(frozen=True)
class Matrix:
    """A matrix [C, O] as the kernel wants it.

    Attributes:
        values: float32 [C, room]; or bfloat16 [C / 2, room, 2] or, in tiles, [room / 16, C / 32,
            16, 16, 2].
        constant: float32 [room].
        channels, filters: C and O.
        form: how `map_positions` finds it.
    """

    values: Tensor
    constant: Tensor
    channels: int
    filters: int
    form: int = WHOLE

    @classmethod
    def of(cls, matrix: Tensor, constant: Tensor | None = None, half: bool = False) -> Matrix:
        """Args:
        matrix: [C, O]; constant: [O], or None for 0.
        half: in bfloat16, where the CPU multiplies in it.
        """
        channels, filters = matrix.shape
        form = WHOLE
        if half and has_tiles():
            values = _tiles_of(matrix)
        elif half and has_half_products():
            form = PAIRS
            # A pair of one column, as one value that can be moved as a whole.
            turned = padded(matrix.T.to(torch.bfloat16), 2)
            pairs = padded(turned.view(torch.int32).T)
            values = pairs.view(torch.bfloat16).view(len(pairs), -1, 2)
        else:
            values = padded(matrix)
        if constant is None:
            constant = matrix.new_zeros(filters)
        return cls(values, padded(constant), channels, filters, form)

    @classmethod
    def symmetric(cls, matrix: Tensor, constant: Tensor, half: bool = False) -> Matrix:
        """The same of a symmetric matrix [C, C] that will be applied once.

        Args:
            matrix: contiguous.
        """
        channels = len(matrix)
        if half and has_tiles():
            # It is turned there, and so lies the right way.
            return cls.of(matrix.T, constant, half)
        if half and has_half_products() and channels % LANES == 0:
            return cls(matrix, padded(constant), channels, channels, MAKE_PAIRS)
        return cls.of(matrix, constant, half)

    def apply(self, x: Tensor, result: Tensor, onto: Tensor | None = None) -> None:
        """result = x matrix + constant + onto.

        Args:
            x: float32 [N, C, H, W] in channels_last.
            result: float32 [N, O, H, W] in channels_last; it may be x or onto.
        """
        images, channels, height, width = x.shape
        positions = images * height * width
        threads = torch.get_num_threads()
        common = {
            "positions": positions,
            "channels": channels,
            "filters": self.filters,
            "values": address(x),
            "matrix": address(self.values),
            "constant": address(self.constant),
            "onto": address(onto),
            "result": address(result),
        }
        if self.values.dim() == TILED:
            work = workspace(RESULTS + POSITIONS_AT_ONCE * (ROW * self.values.shape[1] + GAP))
            chunks = min(CHUNKS * threads, -(-positions // POSITIONS_AT_ONCE))
            MAP_TILES(threads, chunks=chunks, **common, **work.arguments())
            return
        whole = -(-channels // LANES) * LANES
        made = 2 * whole * self.values.shape[1] if self.form == MAKE_PAIRS else 0
        MAP(
            threads,
            chunks=min(CHUNKS * threads, -(-positions // TILE)),
            **common,
            room=self.values.shape[1],
            form=self.form,
            **workspace(2 * TILE * (4 * whole + GAP) + made).arguments(),
        )


TILED = 5
"""Dimensions of a matrix in tiles."""


def _tiles_of(matrix: Tensor) -> Tensor:
    """[C, O] in bfloat16 as `map_tiles` wants it."""
    channels, filters = matrix.shape
    turned, missing = matrix.T, (0, -channels % (2 * LANES), 0, -filters % LANES)
    if any(missing):
        turned = functional.pad(turned, missing)
    # A pair of one column, as one value that can be moved as a whole.
    pairs = turned.to(torch.bfloat16, memory_format=torch.contiguous_format).view(torch.int32)
    tiles = pairs.view(-1, LANES, pairs.shape[1] // LANES, LANES).permute(0, 2, 3, 1)
    return tiles.contiguous().view(torch.bfloat16).view(*tiles.shape, 2)
