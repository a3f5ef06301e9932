"""The way back through a one-bit 3x3 convolution in bfloat16, for CPUs with tiles of it (AMX).

What precedes and follows is done along the way, as in `winograd`; nothing is rounded but the scaled
gradient and, to float32, its sums.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .backward import Backward, Surroundings
from .kernels import AMX
from .launch import STRIPS, rows_of_strips, workspace
from .packing import Filters, blocks_of, pack_bits
from .sizes import AROUND, BLOCK, GAP, LANES, POSITIONS_AT_ONCE, RESULTS, TILE_BYTES


class AmxFilters(Backward):
    """The filters of a convolution seen from its output, in the form that the kernel takes.

    Attributes:
        weights: int32 [C / 16, 2 blocks of O, 9, 16], with C up to a multiple of 64: which of the
            32 weights in a row of a tile are negative.
    """

    def __init__(self, filters: Filters) -> None:
        super().__init__(filters)
        blocks, pieces = blocks_of(self.channels_in), 2 * blocks_of(self.channels_out)
        whole = torch.zeros(BLOCK * blocks, LANES * 2 * pieces, 9, dtype=torch.bool)
        whole[: self.channels_in, : self.channels_out] = self.kernel(filters).flatten(2) < 0
        arranged = whole.view(-1, LANES, pieces, LANES, 2, 9).permute(0, 2, 5, 3, 1, 4)
        words = pack_bits(arranged.reshape(-1, BLOCK)).view(torch.int32)
        # torch's memory begins at a cache line, NumPy's does not.
        self.weights = words.clone(memory_format=torch.contiguous_format)

    def add_gradient(self, gradient: Tensor, result: Tensor, around: Surroundings) -> None:
        images, channels, height, width = gradient.shape
        threads = torch.get_num_threads()
        blocks = blocks_of(channels)
        step, line = 2 * BLOCK * blocks + GAP, width + 2 * AROUND
        rows = rows_of_strips(images, height, line, line * step, AROUND, threads)
        bands = -(-height // rows)
        filter_blocks = blocks_of(self.channels_in)
        parts = min(filter_blocks, -(-STRIPS * threads // (images * bands)))
        weights = TILE_BYTES * 9 * 2 * blocks * (BLOCK // LANES)
        places = (rows + 2 * AROUND) * line + POSITIONS_AT_ONCE
        AMX(
            threads,
            chunks=images * bands * parts,
            parts=parts,
            bands=bands,
            rows=rows,
            **self.arguments(gradient, result, around),
            weights=self.weights.data_ptr(),
            **workspace(RESULTS + weights + places * step).arguments(),
        )
