"""Paintings of pairs by contestants, each made once, kept, and judged.

A contestant is a network's name with any options of `bitbrush paint`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from bitbrush.images import read_image
from bitbrush.lab.artefacts import artefacts
from bitbrush.lab.judge import Case, Distances, Judge
from bitbrush.lab.pairs import Pair

PAIRS = Path(__file__).parent / "pairs.json"

INDICES = ("grid_against_style", "noise", "chroma_noise", "border")
"""Of artefacts, as tables show them."""

SHOWN = 0.2
"""Content weight of the paintings on sheets, and of those whose artefacts count."""


def evenly(pairs: Sequence[Pair], count: int | None) -> Sequence[Pair]:
    """So many of the pairs, evenly spread; None: all."""
    return pairs if count is None else pairs[:: max(len(pairs) // count, 1)][:count]


class Studio:
    """Paints and judges, and keeps what it has painted.

    Args:
        images: folder with content/ and style/.
        folder: for the paintings.
        judge: of all of them.
        size: long edge in pixels.
        workers: paintings made at a time, which share the cores; times mean little if there are
            several.
        command: what is called to paint, as `bitbrush` is.
    """

    def __init__(
        self,
        images: Path,
        folder: Path,
        judge: Judge,
        size: int,
        workers: int = 1,
        command: Sequence[str] = (sys.executable, "-m", "bitbrush"),
    ) -> None:
        self.images, self.folder, self.judge, self.size = images, folder, judge, size
        self.workers, self.command = workers, command

    def sources(self, pair: Pair) -> tuple[Path, Path]:
        """Files of content and style."""
        return self.images / "content" / pair.content, self.images / "style" / pair.style

    def file(self, pair: Pair, contestant: str, weight: float) -> Path:
        """Where a painting is kept."""
        words = "_".join(word.lstrip("-") for word in shlex.split(contestant))
        return (
            self.folder / f"{self.size}" / words.replace("/", "-") / f"{pair.name}-{weight:.4g}.png"
        )

    def paint(self, pair: Pair, contestant: str, weight: float) -> dict[str, Any]:
        """Paints, where it is not there yet; what it took."""
        file = self.file(pair, contestant, weight)
        took = file.with_suffix(".json")
        if not (file.exists() and took.exists()):
            file.parent.mkdir(parents=True, exist_ok=True)
            content, style = self.sources(pair)
            network, *more = shlex.split(contestant)
            words = ["paint", str(content), str(style), "-o", str(file), "--network", network]
            words += ["--size", str(self.size), "--content-weight", f"{weight:.6g}", *more]
            if self.workers > 1:
                words += ["--threads", str(max((os.cpu_count() or 1) // self.workers, 1))]
            done = subprocess.run(
                [*self.command, *words, "--json", "--quiet"],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            took.write_text(done.stdout)
        held: dict[str, Any] = json.loads(took.read_text())
        return held

    def paint_ahead(self, contestant: str, pairs: Sequence[Pair], weights: Sequence[float]) -> None:
        """Paints all that is not there yet, as many at a time as there are workers."""
        with ThreadPoolExecutor(self.workers) as pool:
            asked = [
                pool.submit(self.paint, pair, contestant, weight)
                for pair in pairs
                for weight in weights
            ]
            for each in asked:
                each.result()

    def judged(self, pair: Pair, contestant: str, weight: float) -> Distances:
        """Distances of a painting."""
        painting, case = self._case(pair, contestant, weight)
        return case.distances(painting)

    def faults(self, pair: Pair, contestant: str, weight: float) -> dict[str, float]:
        """Indices of artefacts of a painting."""
        painting, case = self._case(pair, contestant, weight)
        found = artefacts(painting, case.style)
        return {**asdict(found), "grid_against_style": found.grid_against_style}

    def _case(self, pair: Pair, contestant: str, weight: float) -> tuple[Tensor, Case]:
        self.paint(pair, contestant, weight)
        painting = read_image(self.file(pair, contestant, weight)).rgb
        content, style = (read_image(path).rgb for path in self.sources(pair))
        return painting, Case(self.judge, content, style, *painting.shape[-2:])
