"""The gradient of a 3x3 convolution's weights from signs and a gradient of 8-bit integers."""

from __future__ import annotations

import torch
from torch import Tensor

from .backward import KERNEL
from .kernels import GRADIENT_VALUES, SIGN_VALUES, SPREAD
from .launch import CHUNKS, address
from .precision import cpu_features, octet_units
from .sizes import BLOCK

BORDERS = {-1: -1, 0: 0, 1: 0x0101010101010101}
"""Eight cells beyond a map, by what they hold."""

LEVELS = 124
"""A gradient is rounded to whole numbers from minus this to this: the largest multiple of 4 that
fits, as values of a tile are quarters of sums of four."""

VALUES = 16
"""Of a tile, see `native.octets`."""


def sign_grid(x: Tensor, border: int) -> Tensor:
    """The signs of a map in a grid, as `native.octets` tells of.

    Args:
        x: float32 [N, C, H, W] in channels_last.
        border: -1, 0 or 1, what cells beyond the map hold.
    Returns:
        int8 [cells, C], C rounded up to whole blocks. Behind the last row are cells of any content,
        which tiles that stand out over the map look at.
    """
    images, channels, height, width = x.shape
    rows, line = images * (height + 1) + 1, width + 1
    grid = torch.empty(1 + rows * line + line + 1, _whole(channels), dtype=torch.int8)
    SPREAD(
        **_shared(rows),
        values=address(x),
        channels=channels,
        width=width,
        height=height,
        border=BORDERS[border],
        grid=address(grid),
        cell_bytes=grid.shape[1],
    )
    return grid


def weight_gradient(gradient: Tensor, signs: Tensor, channels: int, seed: int) -> Tensor:
    """Sums over all positions of the gradient times the sign at each cell of the kernel.

    The values of each tile are rounded by chance to one of the two next levels, so that the mean
    over many seeds is the true sum; a filter's levels reach as far as its largest gradient.

    Args:
        gradient: float32 [N, O, H, W] in channels_last.
        signs: of the map that was convolved, as `sign_grid` gives it.
        channels: C of that map.
        seed: of chance; 32 bits count.
    Returns:
        float32 [O, C, 3, 3].
    """
    images, filters, height, width = gradient.shape
    flat = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
    unit = torch.maximum(flat.amax(0), -flat.amin(0)) / LEVELS
    inverse = torch.zeros(_whole(filters))
    inverse[:filters] = torch.where(unit > 0, 1 / unit, 0)
    tile_rows, tile_columns = (height + 1) // 2, (width + 1) // 2
    tiles = {
        **_shared(images * tile_rows),
        "height": height,
        "width": width,
        "tile_rows": tile_rows,
        "tile_columns": tile_columns,
    }
    count = images * tile_rows * tile_columns
    of_signs = torch.empty(VALUES, count, signs.shape[1], dtype=torch.int8)
    of_gradient = torch.empty(VALUES, count, len(inverse), dtype=torch.int8)
    SIGN_VALUES(
        **tiles,
        grid=address(signs),
        cell_bytes=signs.shape[1],
        result=address(of_signs),
        matrix_bytes=of_signs[0].numel(),
    )
    GRADIENT_VALUES(
        **tiles,
        values=address(gradient),
        channels=filters,
        inverse=address(inverse),
        seed=seed & 0xFFFFFFFF,
        cell_bytes=len(inverse),
        result=address(of_gradient),
        matrix_bytes=of_gradient[0].numel(),
    )
    products = torch.stack(
        [_product(own.T, theirs) for own, theirs in zip(of_gradient, of_signs, strict=True)]
    )
    sums = _after(_after(products.view(KERNEL + 1, KERNEL + 1, *products.shape[1:]), 0), 1)
    own = sums[:, :, :filters, :channels] * unit[:, None]
    return own.permute(2, 3, 0, 1)


def has_octet_products() -> bool:
    """Whether products of 8-bit integers are faster than those of floats."""
    return octet_units(cpu_features())[:1] == ["avx512vnni"]


def _product(one: Tensor, other: Tensor) -> Tensor:
    """Of two matrices of 8-bit integers."""
    if has_octet_products():
        return torch._int_mm(one, other)
    return one.float() @ other.float()


def _after(products: Tensor, axis: int) -> Tensor:
    """Sums of three results along an axis, from those of four values."""
    a, b, c, d = products.unbind(axis)
    middle = b + c
    return torch.stack((a + middle, b - c, middle + d), axis)


def _whole(channels: int) -> int:
    """Channels, rounded up to whole blocks."""
    return -(-channels // BLOCK) * BLOCK


def _shared(rows: int) -> dict[str, int]:
    """How rows are shared by threads."""
    threads = torch.get_num_threads()
    return {"threads": threads, "chunks": min(CHUNKS * threads, rows), "rows": rows}
