"""Pairs of content and style: those that settings are chosen by, and those they are judged by."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

COUNT = 12
"""Of pairs in each set."""


@dataclass(frozen=True)
class Pair:
    """A content and a style, by the names of their files."""

    content: str
    style: str

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{Path(self.content).stem}+{Path(self.style).stem}"


@dataclass(frozen=True)
class PairSets:
    """Two sets of pairs without a content or a style in common.

    Attributes:
        seed: they were drawn with.
        tuning: whatever is chosen is chosen by these.
        test: what is claimed is claimed of these.
    """

    seed: int
    tuning: tuple[Pair, ...]
    test: tuple[Pair, ...]

    def as_text(self) -> str:
        """JSON, a line for each pair."""
        held = {
            name: [[pair.content, pair.style] for pair in getattr(self, name)]
            for name in ("tuning", "test")
        }
        lines = ",\n".join(
            f'  "{name}": [\n' + ",\n".join(f"    {json.dumps(pair)}" for pair in pairs) + "\n  ]"
            for name, pairs in held.items()
        )
        return f'{{\n  "seed": {self.seed},\n{lines}\n}}\n'

    @classmethod
    def read(cls, path: Path) -> PairSets:
        """From such a file.

        Raises:
            InputError: it cannot be read, or is none.
        """
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            sets = {
                name: tuple(Pair(str(content), str(style)) for content, style in held[name])
                for name in ("tuning", "test")
            }
            return cls(int(held["seed"]), **sets)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is no readable list of pairs: {error}") from error


def draw_pairs(
    contents: Sequence[str], styles: Sequence[str], seed: int, count: int = COUNT
) -> PairSets:
    """Draws both sets from all contents and styles.

    Contents and styles are first parted in halves at random; each set is drawn from the pairs of
    its halves.

    Raises:
        InputError: there are too few of them.
    """
    source = random.Random(seed)
    halves = []
    for names in (contents, styles):
        mixed = sorted(names)
        source.shuffle(mixed)
        middle = len(mixed) // 2
        halves.append((sorted(mixed[:middle]), sorted(mixed[middle:])))
    sets = []
    for own in zip(*halves, strict=True):
        every = [Pair(*pair) for pair in itertools.product(*own)]
        if len(every) < count:
            raise InputError(f"{len(every)} pairs are too few to draw {count} from")
        chosen = source.sample(every, count)
        sets.append(tuple(sorted(chosen, key=lambda pair: pair.name)))
    return PairSets(seed, *sets)
