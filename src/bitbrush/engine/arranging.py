"""The order in which a convolution reads the words of its filters; see `native.counting`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .precision import cpu_features
from .sizes import BLOCK


def counts_words() -> bool:
    """Whether the CPU counts the bits of every 32-bit word of a vector."""
    return "avx512vpopcntdq" in cpu_features()


def arranged(words: NDArray[np.int32]) -> NDArray[np.int32]:
    """Words of 64 filters, [..., 64], in the order that `differing_bits` reads.

    Where bytes are counted, the 64 first bytes come first, then the 64 second ones.
    """
    return words if counts_words() else _turned(words, (BLOCK, 4))


def as_they_were(words: NDArray[np.int32]) -> NDArray[np.int32]:
    """The inverse of `arranged`."""
    return words if counts_words() else _turned(words, (4, BLOCK))


def _turned(words: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    octets = np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape[:-1], *shape)
    turned = np.ascontiguousarray(octets.swapaxes(-1, -2))
    return turned.reshape(*words.shape[:-1], 4 * BLOCK).view(np.int32)
