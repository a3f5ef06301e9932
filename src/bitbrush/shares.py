"""Shares of a whole that were counted, and how sure they are."""

from __future__ import annotations

import math

NORMAL = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share, in [0, 1].

    Args:
        right: how many of count, which is not 0.
    Source: Wilson 1927.
    """
    share, square = right / count, NORMAL**2
    middle = share + square / (2 * count)
    spread = NORMAL * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    whole = 1 + square / count
    return max((middle - spread) / whole, 0.0), min((middle + spread) / whole, 1.0)
