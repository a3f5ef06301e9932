"""The way back through a one-bit 3x3 convolution, 2x2 or 3x3 results at a time.

There are 16 products for what takes 36 otherwise, or 25 for what takes 81 (see
`native.winograd_simd`), in 8-bit integers for CPUs that multiply those, or in float32. What
precedes and follows is done along the way: the scale and the mask of the relu before, the factors
of sign's gradient, the sum with the gradient around the block, and the tap's own gradient behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from .backward import KERNEL, Backward, Surroundings
from .buffers import empty
from .kernel import Kernel
from .kernels import WINOGRAD, WINOGRAD_FLOATS
from .launch import CHUNKS, address, workspace
from .packing import Filters, blocks_of
from .precision import cpu_features, octet_units
from .sizes import BLOCK, FLOATS, GAP, GROUP, LANES, LARGEST

TWOS = ((2, 0, 0), (1, 1, 1), (1, -1, 1), (0, 0, 2))
"""From three weights of a line to four, for two results; twice the usual, to be integers."""

THREES = ((1, 0, 0), (1, -1, 1), (1, 2, 4), (4, 2, 1), (0, 0, 1))
"""To five, for three results; integers, too."""

UNITS = {2: 1 / 4, 3: 1.0}
"""What a sum of products counts then, by the results along an axis."""

CHANNELS = 256
"""At most, where three results along an axis are faster: of more channels the maps are small, and
the weights, half as many again, do not stay in the cache."""


def octet_results(channels: int, filters: int) -> int:
    """Results of a tile along each axis, where gradients are in 8-bit integers.

    Args:
        channels, filters: of the convolution; which is which does not matter.
    """
    # Weights of up to 49 leave no room for sums of pairs in 16 bits, which AVX2 has instead.
    fours = octet_units(cpu_features())[:1] == ["avx512vnni"]
    return 3 if fours and max(channels, filters) <= CHANNELS else 2


class Winograd(Backward):
    """What both kinds of numbers have in common.

    Attributes:
        results: of a tile, along each axis.
    """

    results = 2

    @property
    def values(self) -> int:
        """Of a tile and a channel, between its two maps."""
        return (self.results + 2) ** 2

    @property
    def room(self) -> int:
        """O, up to a multiple of 64."""
        return BLOCK * blocks_of(self.channels_out)

    def cells(self, filters: Filters, dtype: torch.dtype) -> Tensor:
        """The weights of each cell of the window, [3, 3, blocks of C, 64, O], with zeros beyond."""
        blocks = blocks_of(self.channels_in)
        more = (self.room - self.channels_out, 0, BLOCK * blocks - self.channels_in)
        whole = functional.pad(self.kernel(filters, dtype), (0, 0, 0, 0, 0, *more))
        return whole.permute(2, 3, 0, 1).reshape(KERNEL, KERNEL, blocks, BLOCK, self.room)

    def spread(self, cells: Tensor) -> Tensor:
        """The weights of each kind, [values, …], of cells [3, 3, …]."""
        weights = empty((self.values, *cells.shape[2:]), cells.dtype)
        for place, value in enumerate(self.kinds(cells)):
            weights[place] = value
        return weights

    def kinds(self, cells: Tensor) -> Iterator[Tensor]:
        """Values of [3, 3, …], each […], line by line."""
        before = THREES if self.results == 3 else TWOS
        for down in before:
            line = _sum(down, cells)
            for across in before:
                yield _sum(across, line)

    def launch(
        self,
        kernel: Kernel,
        gradient: Tensor,
        result: Tensor,
        around: Surroundings,
        steps: Mapping[str, int],
        sizes: Mapping[str, int],
        **others: float,
    ) -> None:
        """Runs the kernel.

        Args:
            steps: between kinds of value.
            sizes: of the parts of a thread's workspace, the first being its beginning.
            others: fields that only this kernel has.
        """
        images, _, height, width = gradient.shape
        threads = torch.get_num_threads()
        down, across = -(-height // self.results), -(-width // self.results)
        tiles = images * down * across
        groups = -(-tiles // GROUP)
        parts = min(blocks_of(self.channels_in), -(-threads // groups))
        words = self.room // BLOCK * 8
        places, end = {}, 0
        copies = self.values * 4 * self.room
        for name, size in {**sizes, "none": words, "whole": words, "copies": copies}.items():
            places[name] = end
            end += -(-size // GAP) * GAP
        del places["values"]
        kernel(
            threads,
            chunks=groups * parts,
            runs=min(groups * parts, CHUNKS * threads),
            parts=parts,
            tiles=tiles,
            down=down,
            across=across,
            results=self.results,
            **self.arguments(gradient, result, around),
            **workspace(end).arguments(),
            **steps,
            **places,
            **others,
        )


def _sum(factors: Sequence[int], parts: Tensor) -> Tensor:
    """Of the parts times small whole numbers, in the parts' own type."""
    terms: list[Tensor] = [
        part * factor for part, factor in zip(parts, factors, strict=True) if factor
    ]
    return reduce(torch.add, terms)


class OctetFilters(Winograd):
    """Filters for gradients in 8-bit integers.

    Attributes:
        weights: int8 [values, blocks of C, blocks of O, 16, 64, 4]; of each block of O the filters
            n, n + 16, n + 32 and n + 48 lie together.
        base: int32 [values, blocks of C, 64], what takes the added 128 of every value away again.
    """

    def __init__(self, filters: Filters) -> None:
        super().__init__(filters)
        self.results = octet_results(self.channels_in, self.channels_out)
        cells = self.cells(filters, torch.int8)
        # In the order in which the kernel rounds values.
        parted = cells.view(*cells.shape[:4], -1, 4, LANES)
        arranged = parted.permute(0, 1, 2, 4, 6, 3, 5).contiguous()
        self.weights = self.spread(arranged)
        # Sums of floats, which are faster; those of values are the values of sums.
        sums = torch.stack(list(self.kinds(arranged.float().sum((3, 4, 6)))))
        self.base = (-(LARGEST + 1) * sums).int()

    def add_gradient(self, gradient: Tensor, result: Tensor, around: Surroundings) -> None:
        steps = {
            "values_step": 4 * self.room + GAP,
            "octets_step": GROUP * self.room + GAP,
            "sums_step": GROUP * FLOATS + 2 * GAP,
        }
        sizes = {
            "values": self.values * steps["values_step"],
            "octets": self.values * steps["octets_step"],
            "sums": self.values * steps["sums_step"],
            "units": 4 * self.values * GROUP,
        }
        self.launch(
            WINOGRAD,
            gradient,
            result,
            around,
            steps,
            sizes,
            weights=address(self.weights),
            base=address(self.base),
            sum_real=UNITS[self.results] / LARGEST,
        )


class FloatFilters(Winograd):
    """Filters for gradients in float32.

    Attributes:
        weights: float32 [values, blocks of C, O, 64], with O up to a multiple of 64.
    """

    def __init__(self, filters: Filters) -> None:
        super().__init__(filters)
        cells = self.cells(filters, torch.float32).transpose(3, 4).contiguous()
        self.weights = self.spread(cells).mul_(UNITS[self.results])

    def add_gradient(self, gradient: Tensor, result: Tensor, around: Surroundings) -> None:
        steps = {
            "values_step": GROUP * 4 * self.room + GAP,
            "sums_step": GROUP * FLOATS + 2 * GAP,
        }
        sizes = {
            "values": self.values * steps["values_step"],
            "sums": self.values * steps["sums_step"],
        }
        self.launch(
            WINOGRAD_FLOATS, gradient, result, around, steps, sizes, weights=address(self.weights)
        )
