"""The best of several choices, measured on pairs that it was not chosen by.

The best of many looks good by chance on the pairs that it is chosen by.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from statistics import geometric_mean
from typing import TypeVar

from .plan import Sources

Choice = TypeVar("Choice", bound=Hashable)


def best(
    scores: Mapping[Choice, Mapping[Sources, float]], without: Sources | None = None
) -> Choice:
    """The choice with the least geometric mean over the pairs that it has.

    Args:
        scores: positive figures by choice and pair.
        without: a pair that does not count.
    Raises:
        ValueError: there is no score.
    """
    means = {
        choice: geometric_mean(rest)
        for choice, own in scores.items()
        if (rest := [score for pair, score in own.items() if pair != without])
    }
    return min(means, key=lambda choice: means[choice])


def on_pairs_left_out(scores: Mapping[Choice, Mapping[Sources, float]]) -> list[float]:
    """For each pair the score there of what is best on the others.

    A pair that lacks that score says nothing, rather than be compared with a second best.

    Args:
        scores: as for `best`.
    Returns:
        empty where there is but one pair.
    """
    pairs = list(dict.fromkeys(pair for own in scores.values() for pair in own))
    if len(pairs) < 2:
        return []
    chosen = {pair: scores[best(scores, without=pair)] for pair in pairs}
    return [own[pair] for pair, own in chosen.items() if pair in own]
