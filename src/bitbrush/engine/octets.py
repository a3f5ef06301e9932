"""The gradient of a 3x3 convolution's weights from signs and a gradient of 8-bit integers."""

from __future__ import annotations

import torch
from torch import Tensor

from .backward import KERNEL
from .kernels import SPREAD
from .launch import CHUNKS, address
from .precision import cpu_features, octet_units
from .sizes import LARGEST

BORDERS = {-1: -1, 0: 0, 1: 0x0101010101010101}
"""Eight cells beyond a map, by what they hold."""


def sign_grid(x: Tensor, border: int) -> Tensor:
    """The signs of a map [N, C, H, W] in channels_last, in a grid as `native.octets` tells of.

    Args:
        border: -1, 0 or 1, what cells beyond the map hold.
    Returns:
        int8 [cells, C].
    """
    return _spread(x, None, border, 0)


def weight_gradient(gradient: Tensor, signs: Tensor, seed: int) -> Tensor:
    """Sums over all positions of the gradient times the sign at each cell of the kernel.

    The gradient is rounded by chance to one of the two next of 255 levels, so that the mean over
    many seeds is the true sum; a filter's levels reach as far as its largest gradient.

    Args:
        gradient: float32 [N, O, H, W] in channels_last.
        signs: of the map that was convolved, as `sign_grid` gives it.
        seed: of chance; 32 bits count.
    Returns:
        float32 [O, C, 3, 3].
    """
    images, filters, height, width = gradient.shape
    flat = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
    unit = torch.maximum(flat.amax(0), -flat.amin(0)) / LARGEST
    inverse = torch.where(unit > 0, 1 / unit, 0)
    octets = _spread(gradient, inverse, 0, seed)
    line = width + 1
    first, last = 1 + line, images * (height + 1) * line
    middle = octets[first:last].T
    result = gradient.new_empty(filters, signs.shape[1], KERNEL, KERNEL)
    for down in range(KERNEL):
        for across in range(KERNEL):
            apart = (down - 1) * line + across - 1
            sums = _product(middle, signs[first + apart : last + apart])
            torch.mul(sums, unit[:, None], out=result[:, :, down, across])
    return result


def has_octet_products() -> bool:
    """Whether products of 8-bit integers are faster than those of floats."""
    return octet_units(cpu_features())[:1] == ["avx512vnni"]


def _product(one: Tensor, other: Tensor) -> Tensor:
    """Of two matrices of 8-bit integers."""
    # Where the one has one row, torch (2.13) gives wrong sums if it is a turned column.
    if has_octet_products() and len(one) > 1:
        return torch._int_mm(one, other)
    return one.float() @ other.float()


def _spread(values: Tensor, inverse: Tensor | None, border: int, seed: int) -> Tensor:
    images, channels, height, width = values.shape
    rows = images * (height + 1) + 1
    grid = torch.empty(1 + rows * (width + 1), channels, dtype=torch.int8)
    threads = torch.get_num_threads()
    SPREAD(
        threads,
        chunks=min(CHUNKS * threads, rows),
        rows=rows,
        values=address(values),
        channels=channels,
        width=width,
        height=height,
        inverse=address(inverse),
        seed=seed & 0xFFFFFFFF,
        border=BORDERS[border],
        grid=address(grid),
    )
    return grid
