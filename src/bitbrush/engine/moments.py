"""Means of the channels of a map, and means of their products.

A library copies a map before it centres it, and multiplies what is symmetric twice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .kernels import FINISH, PRODUCTS
from .launch import address, workspace
from .packing import blocks_of, padded
from .sizes import BLOCK, GAP, LANES, POSITIONS

PARTS = 4
"""Parts of the work for each thread: every part of the positions has a matrix of its own, which is
cleared before and added up behind."""


def channel_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [C] and covariance [C, C] of the channels of a map.

    Args:
        features: float32 [1, C, H, W] on the CPU, in channels_last or cut out of such a map.
    """
    channels, height, width = features.shape[1:]
    positions = height * width
    threads, blocks = torch.get_num_threads(), blocks_of(channels)
    room = BLOCK * blocks
    # Products are taken around the position in the middle, which keeps large means out of them.
    shift = padded(features[0, :, height // 2, width // 2])
    parts = max(1, min(PARTS * threads // blocks, positions // POSITIONS))
    sums, products = features.new_empty(parts, room), features.new_empty(parts, room, room)
    work = workspace(POSITIONS * (4 * room + GAP))
    PRODUCTS(
        threads,
        chunks=parts * blocks,
        parts=parts,
        positions=positions,
        width=width,
        row_bytes=4 * features.stride(2),
        channels=channels,
        values=address(features),
        shift=address(shift),
        sums=address(sums),
        products=address(products),
        **work.arguments(),
        room=room,
    )
    mean, matrix = features.new_empty(channels), features.new_empty(channels, channels)
    bands = -(-channels // LANES)
    FINISH(
        threads,
        chunks=bands,
        bands=bands,
        channels=channels,
        room=room,
        parts=parts,
        sums=address(sums),
        products=address(products),
        shift=address(shift),
        share_real=1 / positions,
        mean=address(mean),
        matrix=address(matrix),
    )
    return mean, matrix
