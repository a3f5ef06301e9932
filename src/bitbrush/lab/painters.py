"""Painting the cells of a plan on a cluster. Each is recorded here, once, under its key."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..atomic import write_atomically
from .cluster import Errand, Hands, connected
from .elsewhere import Files
from .making import files_of, held, make
from .plan import Cell, Sources, with_settings

Found = dict[str, Any]
"""What `Row.found` holds."""

Brought = tuple[bytes | None, Found]
"""A picture's PNG file, if one was painted, and what was found of it."""


@contextmanager
def painters(
    address: str, workers: int, threads: int, folder: Path, judge: str | None
) -> Iterator[Painters]:
    """Painters on a cluster, until the context ends.

    Args:
        address, workers, threads: as for `connected`, of a painting.
        folder, judge: of the laboratory.
    Raises:
        InputError: as `connected`.
    """
    with connected(address, workers, threads) as size:
        yield Painters(size, threads, folder, judge)


class Painters(Hands[Cell, Found]):
    """The laboratory's crew of a cluster."""

    def __init__(self, size: int, threads: int, folder: Path, judge: str | None) -> None:
        super().__init__(size, threads)
        self._folder, self._judge = folder, judge

    def _errand(self, task: Cell) -> Errand:
        named = (task.sources.style, task.settings.get("weights", ""))
        picture, _ = files_of(self._folder, task)
        known = held(self._folder, task)
        return Errand(
            task.sources.name,
            partial(painted_anywhere, task, self._judge, picture, known),
            [task.sources.content, *(path for path in map(Path, named) if path.is_file())],
            [picture] if known is not None and picture.exists() else [],
            [task.settings["network"], *([self._judge] if self._judge else [])],
        )

    def _keep(self, task: Cell, brought: Brought) -> Found:
        content, found = brought
        picture, told = files_of(self._folder, task)
        if content is not None:
            write_atomically(picture, content)
        write_atomically(told, json.dumps(found, indent=1).encode())
        return found


def painted_anywhere(
    cell: Cell, judge: str | None, picture: Path, known: Found | None, files: Files
) -> Brought:
    """Paints and judges a cell on whichever machine this runs, as far as that has not been done.

    Args:
        picture, known: of a painting that is there: its file, and what was found of it.
        files: the sources, the file of weights if one was named, and the picture if there is one.
    """
    style = files.get(Path(cell.sources.style), cell.sources.style)
    here = dataclasses.replace(cell, sources=Sources(files[cell.sources.content], str(style)))
    weights = files.get(Path(cell.settings.get("weights", "")))
    if weights is not None:
        here = with_settings(here, weights=str(weights))
    with tempfile.TemporaryDirectory() as folder:
        ours, told = files_of(Path(folder), here)
        ours.parent.mkdir()
        if known is not None:
            told.write_text(json.dumps(known), encoding="utf-8")
            if picture in files:
                shutil.copyfile(files[picture], ours)
        found = make(here, Path(folder), judge)
        painted = known is None and ours.exists()
        return (ours.read_bytes() if painted else None), found
