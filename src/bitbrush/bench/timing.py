"""Times that can be compared: contestants take turns, so that all meet the same machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Contestant = Callable[[], float]
"""Does its work and says how many seconds that took."""

Advance = Callable[[float, str], None]
"""Is told how much has been done, and of what."""

SHORTEST = 2e-2
"""Seconds that a repetition should take at least; shorter work is done several times in it, since
the first times pay for threads that wake up."""

WARMUP = 2
"""Repetitions that are not counted: memory is allocated and code compiled in them."""


@dataclass(frozen=True)
class Times:
    """Seconds of each repetition of one contestant."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def as_json(self) -> dict[str, float]:
        """Median and extremes, in seconds."""
        return {"median": self.median, "least": min(self.seconds), "most": max(self.seconds)}


@dataclass(frozen=True)
class Ratio:
    """How many times less than something else something takes.

    Attributes:
        what, against: the two, for people to read.
        quantity: of what: "time" or "memory".
        value: that of `against` through that of `what`.
        target: what it is meant to be at least, or None.
    """

    what: str
    against: str
    quantity: str
    value: float
    target: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields, and whether the target is met (None without one)."""
        met = None if self.target is None else self.value >= self.target
        return {**self.__dict__, "met": met}


def timed(work: Callable[[], object], loops: int = 1) -> Contestant:
    """A contestant that does its work so many times; its seconds are those of one time."""

    def run() -> float:
        started = time.perf_counter()
        for _ in range(loops):
            work()
        return (time.perf_counter() - started) / loops

    return run


def steady(work: Callable[[], object], loops: int = 1) -> Contestant:
    """The same in the midst of such work: as one more comes right before, which does not count.

    Work that follows another's finds its memory and its instructions gone from the caches; a
    painting is steps one after the other.
    """
    run = timed(work, loops)

    def after_another() -> float:
        work()
        return run()

    return after_another


def looped(work: Callable[[], object]) -> Contestant:
    """The same with as many loops as make a repetition long enough to be timed."""
    once = steady(work)
    return steady(work, max(1, math.ceil(SHORTEST / max(once(), 1e-6))))


def interleaved(
    contestants: Mapping[str, Contestant],
    repetitions: int,
    advance: Advance | None = None,
    warmup: int = WARMUP,
) -> dict[str, Times]:
    """Times of all contestants, which take turns: every round is one repetition of each.

    Args:
        repetitions: that count, for each; `warmup` more come before.
        advance: told of rounds done.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(warmup + repetitions):
        for name, contestant in contestants.items():
            taken = contestant()
            if number >= warmup:
                seconds[name].append(taken)
        if advance is not None:
            advance((number + 1) / (warmup + repetitions), f"round {number + 1 - warmup}")
    return {name: Times(tuple(values)) for name, values in seconds.items()}


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios: that of their inverses is its inverse."""
    return math.exp(statistics.fmean(math.log(value) for value in values))
