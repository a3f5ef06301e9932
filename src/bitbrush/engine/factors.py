"""What is kept of an activation for the gradient of its sign: a bit, a byte or a float."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ..quantizers import Estimator
from .buffers import empty
from .sizes import BITS, BYTES, EVERYWHERE, REALS, TABLE

REACH = {"swish": 3.0, "ede": 5.0}
"""Widths from 0 beyond which a smooth factor is below the last level of a byte."""


@dataclass(frozen=True)
class Factor:
    """How an estimator's factor is kept.

    Attributes:
        mode: EVERYWHERE, BITS, BYTES or REALS.
        window: BITS: the largest magnitude with factor 1; BYTES: the width of a table's entry, or
            without a table the magnitude from which on the byte is 0.
        table: BYTES: uint8 [TABLE], entry TABLE / 2 beginning at 0; or None, where the byte is 254
            at 0 and falls evenly.
        unit, zero: BYTES: the factor is unit x byte + zero.
    """

    mode: int
    window: float = 1.0
    table: Tensor | None = None
    unit: float = 1.0
    zero: float = 0.0

    def table_address(self) -> int:
        return 0 if self.table is None else self.table.data_ptr()

    def room(self, pixels: int, channels: int) -> Tensor | None:
        """Memory for the factors of a map with so many pixels, yet to be filled."""
        if self.mode == EVERYWHERE:
            return None
        if self.mode == BITS:
            return empty((pixels, -(-channels // 64)), torch.int64)
        kind = torch.uint8 if self.mode == BYTES else torch.float32
        return empty((pixels, channels), kind)


@cache
def factor_of(estimator: Estimator, exact: bool) -> Factor:
    """How the factor of this estimator is kept.

    Args:
        exact: smooth factors as floats; else as bytes, off by half a level of 255 at most.
    """
    if estimator.name == "identity":
        return Factor(EVERYWHERE)
    if estimator.name == "ste":
        return Factor(BITS, estimator.width)
    if exact:
        return Factor(REALS)
    if estimator.name == "approx":
        return Factor(BYTES, estimator.width, unit=float(estimator.factor(torch.zeros(1))) / 254)
    step = REACH[estimator.name] * estimator.width / (TABLE // 2)
    centres = (torch.arange(TABLE, dtype=torch.float64) - TABLE // 2 + 0.5) * step
    values = estimator.factor(centres)
    unit = float(values.max() - values.min()) / 254
    # Zero must be a level of its own: most activations of a wide map lie where the factor is 0.
    zero = unit * torch.floor(values.min() / unit + 1e-6).item()
    levels = ((values - zero) / unit).round().clamp(0, 255)
    return Factor(BYTES, step, levels.to(torch.uint8), unit, zero)
