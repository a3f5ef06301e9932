"""Paintings by a changed painter, beside those of the painter as it is.

Something that is no setting is tried by changing it in the process that paints: a program calls
itself in place of `bitbrush`, and finds what to change in an environment variable.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import typer
from studio import INDICES, PAIRS, SHOWN, Studio, evenly

from bitbrush.cli.main import main as bitbrush
from bitbrush.cli.progress import progress
from bitbrush.lab.frontier import Frontier, compared, overlap, ratio
from bitbrush.lab.judge import Judge
from bitbrush.lab.pairs import PairSets

WEIGHTS = (0.03, SHOWN, 1.0)
"""Content weights of a frontier."""

CHANGE = "BITBRUSH_CHANGE"
"""Environment variable by which a painting process is told what to change."""


def run(program: Callable[..., None], change: Callable[[str], None]) -> None:
    """The whole of a program: with something to change it paints, else it is itself."""
    told = os.environ.get(CHANGE)
    if told is None:
        typer.run(program)
        return
    if told:
        change(told)
    bitbrush()


def compare(
    images: Path,
    output: Path,
    changes: Sequence[str],
    contestant: str,
    judge: str = "squeezenet",
    size: int = 256,
    count: int | None = None,
) -> None:
    """Prints, for no change and each of these, what comes of it on the tuning pairs.

    Style distance at equal content distance against no change, and medians of the artefacts.

    Args:
        images: folder with content/ and style/.
        output: folder for all that is painted.
        contestant: as a `Studio` knows it.
        count: only so many pairs, evenly spread.
    """
    pairs = evenly(PairSets.read(PAIRS).tuning, count)
    command = [sys.executable, str(Path(sys.argv[0]).resolve())]
    frontiers: list[list[Frontier]] = []
    with progress("painting and judging", (1 + len(changes)) * len(pairs)) as bar:
        for change in ("", *changes):
            os.environ[CHANGE] = change
            folder = output / (change or "unchanged").replace(" ", "-")
            studio = Studio(images, folder, Judge.load(judge), size, command=command)
            found = []
            for pair in pairs:
                points = [studio.judged(pair, contestant, weight) for weight in WEIGHTS]
                found.append(Frontier.of(points))
                bar.update(len(frontiers) * len(pairs) + len(found), pair.name)
            frontiers.append(found)
            both = [each for each in zip(found, frontiers[0], strict=True) if overlap(*each)]
            result = compared([ratio(*each) for each in both])
            faults = [studio.faults(pair, contestant, SHOWN) for pair in pairs]
            medians = [statistics.median(each[index] for each in faults) for index in INDICES]
            shown = ", ".join(
                f"{index} {value:.2f}" for index, value in zip(INDICES, medians, strict=True)
            )
            name = change or "unchanged"
            print(f"{name}: {result.text(3)}; {shown}")
