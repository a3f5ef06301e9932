"""The seed with which gradients are rounded by chance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_seed: ContextVar[int] = ContextVar("rounding_seed", default=0)


@contextmanager
def rounding_seed(seed: int) -> Iterator[None]:
    """Within this context gradients are rounded by chance with this seed (of which 32 bits count).

    Bound to the current thread or task, so two paintings in one process do not disturb each other.
    """
    token = _seed.set(seed)
    try:
        yield
    finally:
        _seed.reset(token)


def current_rounding_seed() -> int:
    """What `rounding_seed` has set here, or 0."""
    return _seed.get()
