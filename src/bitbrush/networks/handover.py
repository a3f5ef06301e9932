"""Gradients that are given away: who gets one may have its memory.

torch's graph holds what it hands to a function until that function returns. Where a function walks
through a whole network, that is every tap's gradient until the picture's is there.
"""

from __future__ import annotations

from torch import Tensor

_GIVEN = "bitbrush_given_away"


def give_away(gradient: Tensor) -> Tensor:
    """The same tensor, which nobody but its receiver will look at."""
    setattr(gradient, _GIVEN, True)
    return gradient


def received(gradient: Tensor) -> Tensor:
    """What arrived; if it was given away, as the only tensor that keeps its memory."""
    if not getattr(gradient, _GIVEN, False):
        return gradient
    ours = gradient.detach()
    gradient.set_()  # type: ignore[call-overload]
    return ours
