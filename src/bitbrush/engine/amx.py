"""The way back through a one-bit 3x3 convolution in bfloat16, for CPUs with tiles of it (AMX).

What precedes and follows is done along the way, as in `winograd`; nothing is rounded but the scaled
gradient and, to float32, its sums.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .backward import Backward, Surroundings
from .buffers import empty
from .kernels import AMX
from .launch import workspace
from .packing import Filters, blocks_of
from .sizes import AROUND, BLOCK, GAP, LANES, POSITIONS_AT_ONCE, RESULTS

STRIP = 2**19
"""Bytes of a strip, at most: beside it in the second cache lie what comes and what goes out."""

STRIPS = 4
"""For each thread, where there are enough rows."""


class AmxFilters(Backward):
    """The filters of a convolution seen from its output, in the form that the kernel takes.

    Attributes:
        weights: bfloat16 [C / 16, 2 blocks of O, 9, 16, 16, 2], with C up to a multiple of 64.
    """

    def __init__(self, filters: Filters) -> None:
        super().__init__(filters)
        blocks, pieces = blocks_of(self.channels_in), 2 * blocks_of(self.channels_out)
        whole = torch.zeros(BLOCK * blocks, LANES * 2 * pieces, 9)
        whole[: self.channels_in, : self.channels_out] = self.kernel(filters).flatten(2)
        arranged = whole.view(-1, LANES, pieces, LANES, 2, 9).permute(0, 2, 5, 3, 1, 4)
        self.weights = empty(tuple(arranged.shape), torch.bfloat16)
        self.weights.copy_(arranged)

    def add_gradient(self, gradient: Tensor, result: Tensor, around: Surroundings) -> None:
        images, channels, height, width = gradient.shape
        threads = torch.get_num_threads()
        step, line = 2 * BLOCK * blocks_of(channels) + GAP, width + 2 * AROUND
        # Weights that do not stay in the cache are to be read as seldom as can be.
        streamed = self.weights.numel() > STRIP
        most = max(1, STRIP // (line * step) - 2 * AROUND)
        bands = max(-(-height // most), 1 if streamed else -(-STRIPS * threads // images))
        rows = -(-height // min(bands, height))
        bands = -(-height // rows)
        parts = min(blocks_of(self.channels_in), -(-2 * threads // (images * bands)))
        places = (rows + 2 * AROUND) * line + POSITIONS_AT_ONCE
        AMX(
            threads,
            chunks=images * bands * parts,
            parts=parts,
            bands=bands,
            rows=rows,
            **self.arguments(gradient, result, around),
            weights=self.weights.data_ptr(),
            **workspace(RESULTS + places * step).arguments(),
        )
