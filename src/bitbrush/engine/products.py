"""A matrix for every position of a map: 1x1 convolutions, and the gradients of statistics.

With matrices in float32 or, for gradients on CPUs that multiply in it, in bfloat16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numba import carray
from torch import Tensor

from . import products_simd, simd
from .kernels import FLOATS, SUMS, load_block, store_block
from .launch import CHUNKS, address, workspace
from .llvm import BLOCK, LANES, TILE
from .packing import padded
from .runtime import Kernel
from .sharing import next_chunk, take_seat

GAP = 64
"""Bytes between rows that would otherwise lie a power of 2 apart."""

FIELDS = (
    "chunks positions channels filters room values matrix constant onto result half "
    "workspace workspace_bytes"
)


def map_positions(arguments: Any) -> None:
    """result = x matrix + constant + onto at each position x [channels], with as many filters.

    result may lie where x does, if there are as many filters as channels, or where onto does, which
    may be absent (0). matrix: float32 [channels, room], or pairs of bfloat16 [channels / 2, room].
    """
    record = carray(arguments, 1)[0]
    seat = take_seat(record)
    channels, filters, room = record.channels, record.filters, record.room
    whole = (channels + LANES - 1) // LANES * LANES
    step = 4 * whole + GAP
    sums, term = simd.stack(SUMS), simd.stack(FLOATS)
    rows = record.workspace + seat * record.workspace_bytes
    halves = rows + TILE * step
    tiles = (record.positions + TILE - 1) // TILE
    for index in range(TILE * step // 4):
        simd.store_float(rows + 4 * index, 0.0)
    while True:
        chunk = next_chunk(record, seat, record.chunks)
        if chunk < 0:
            break
        last = min(tiles * (chunk + 1) // record.chunks * TILE, record.positions)
        for start in range(tiles * chunk // record.chunks * TILE, last, TILE):
            count = min(TILE, last - start)
            for index in range(count):
                source = record.values + 4 * (start + index) * channels
                for first in range(0, channels, BLOCK):
                    valid = min(BLOCK, channels - first)
                    load_block(source + 4 * first, rows + index * step + 4 * first, valid)
                if record.half:
                    for lane in range(0, whole, LANES):
                        place = index * step
                        products_simd.round_to_half(
                            rows + place + 4 * lane, halves + place + 2 * lane
                        )
            for first in range(0, filters, BLOCK):
                valid = min(BLOCK, filters - first)
                for index in range(TILE):
                    simd.copy(record.constant + 4 * first, sums + FLOATS * index)
                if record.half:
                    products_simd.add_half_products(
                        (valid + LANES - 1) // LANES,
                        halves,
                        step,
                        4,
                        record.matrix + 4 * first,
                        4 * room,
                        (channels + 1) // 2,
                        sums,
                        FLOATS,
                    )
                else:
                    products_simd.add_products(
                        (valid + LANES - 1) // LANES,
                        rows,
                        step,
                        4,
                        record.matrix + 4 * first,
                        4 * room,
                        channels,
                        sums,
                        FLOATS,
                    )
                for index in range(count):
                    place = 4 * ((start + index) * filters + first)
                    if record.onto != 0:
                        load_block(record.onto + place, term, valid)
                        simd.add(sums + FLOATS * index, term)
                    store_block(sums + FLOATS * index, record.result + place, valid)


MAP = Kernel(map_positions, FIELDS)


@dataclass(frozen=True)
class Matrix:
    """A matrix [C, O] as the kernel wants it.

    Attributes:
        values: float32 [C, room], or bfloat16 [C / 2, room, 2].
        constant: float32 [room].
        channels, filters: C and O.
    """

    values: Tensor
    constant: Tensor
    channels: int
    filters: int

    @classmethod
    def of(cls, matrix: Tensor, constant: Tensor | None = None, half: bool = False) -> Matrix:
        """Args:
        matrix: [C, O]; constant: [O], or None for 0.
        half: in bfloat16, where the CPU multiplies in it.
        """
        channels, filters = matrix.shape
        if half and products_simd.has_half_products():
            # A pair of one column, as one value that can be moved as a whole.
            turned = padded(matrix.T.to(torch.bfloat16), 2)
            pairs = padded(turned.view(torch.int32).T)
            values = pairs.view(torch.bfloat16).view(len(pairs), -1, 2)
        else:
            values = padded(matrix)
        if constant is None:
            constant = matrix.new_zeros(filters)
        return cls(values, padded(constant), channels, filters)

    def apply(self, x: Tensor, result: Tensor, onto: Tensor | None = None) -> None:
        """result = x matrix + constant + onto.

        Args:
            x: float32 [N, C, H, W] in channels_last.
            result: float32 [N, O, H, W] in channels_last; it may be x or onto.
        """
        images, channels, height, width = x.shape
        positions = images * height * width
        whole = -(-channels // LANES) * LANES
        MAP(
            torch.get_num_threads(),
            chunks=min(CHUNKS * torch.get_num_threads(), -(-positions // TILE)),
            positions=positions,
            channels=channels,
            filters=self.filters,
            room=self.values.shape[1],
            values=address(x),
            matrix=address(self.values),
            constant=address(self.constant),
            onto=address(onto),
            result=address(result),
            half=self.values.dtype == torch.bfloat16,
            **workspace(2 * TILE * (4 * whole + GAP)).arguments(),
        )
