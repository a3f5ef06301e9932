"""Painting and judging one cell, and keeping what was found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from ..atomic import write_atomically
from ..errors import InputError, PaintingError
from ..images import read_image
from ..process_memory import forget_peak, peak_resident
from ..style.paint import Session, threads
from ..style.sources import as_style
from .artefacts import artefacts
from .judge import Case, judge_named
from .plan import Cell, Sources
from .rows import INDICES

CASES = 4
"""Pairs whose features by the judge are kept."""

JUDGED = ("style_distance", "content_distance", *INDICES)
"""What a judgement finds, as `Row.found` names it."""


def files_of(folder: Path, cell: Cell) -> tuple[Path, Path]:
    picture = folder / "paintings" / f"{cell.key}.png"
    return picture, picture.with_suffix(".json")


def held(folder: Path, cell: Cell) -> dict[str, Any] | None:
    """What was found of a painting that is there."""
    picture, told = files_of(folder, cell)
    try:
        found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if picture.exists() or found.get("error") else None


def is_judged(found: Mapping[str, Any], judge: str | None) -> bool:
    """Whether what was found of a painting is this judge's, or needs none."""
    return "judge" in found and found["judge"] == judge


def make(
    cell: Cell, folder: Path, judge: str | None, note: Callable[[float], None] = lambda share: None
) -> dict[str, Any]:
    """Paints and judges a cell, as far as that has not been done, and keeps what was found.

    Args:
        folder: of the laboratory.
        judge: name of the judge, or None.
        note: told the share that is done.
    Returns:
        what `Row.found` holds.
    """
    found = held(folder, cell)
    if found is None:
        found = _painted(cell, folder, note)
        _keep(folder, cell, found)  # whatever becomes of the judgement
    if not is_judged(found, judge):
        # Of another judge nothing stays.
        found = {name: value for name, value in found.items() if name not in JUDGED}
        # Sums of floats differ in their last digits with the number of threads.
        with threads(found["threads"]):
            found |= _judged(cell, folder, judge)
        _keep(folder, cell, found)
    return found


def _keep(folder: Path, cell: Cell, found: Mapping[str, Any]) -> None:
    _, told = files_of(folder, cell)
    write_atomically(told, json.dumps(found, indent=1).encode())


def clear_parts(folder: Path) -> None:
    """Removes the parts of files that a kill cut off."""
    for part in (folder / "paintings").glob(".*.part"):
        part.unlink(missing_ok=True)


def _painted(cell: Cell, folder: Path, note: Callable[[float], None]) -> dict[str, Any]:
    picture, _ = files_of(folder, cell)
    settings = cell.full_settings()
    _forget_peak()
    started = time.monotonic()
    session = Session(cell.sources.content, [cell.sources.style], settings)
    loaded = time.monotonic()
    losses: dict[str, float] = {}
    error: str | None = None
    done = 0
    try:
        for step in session.steps():
            note(step.done / step.steps)
            losses, done = dict(step.losses), step.done
            if step.done >= step.steps:
                session.painting(step).save(picture)
    except PaintingError as failure:
        error = str(failure)
        if failure.picture is not None:
            session.finished(failure.picture, losses, [], done, done).save(picture)
    return {
        "network": settings.network,
        "steps": done,
        "seconds": round(time.monotonic() - loaded, 3),
        "seconds_to_load": round(loaded - started, 3),
        "peak_mb": _peak_mb(),
        "loss": sum(losses.values()),
        "losses": losses,
        "threads": session.threads,
        "engine": session.job.network.engine,
        "precision": session.job.network.precision,
        "error": error,
    }


def _forget_peak() -> None:
    with suppress(InputError):
        forget_peak()


def _peak_mb() -> float | None:
    try:
        return round(peak_resident() / 1e6, 1)
    except InputError:
        return None


def _judged(cell: Cell, folder: Path, judge: str | None) -> dict[str, Any]:
    """Distances and artefacts, where the painting allows."""
    found: dict[str, Any] = {"judge": judge}
    picture, _ = files_of(folder, cell)
    if not picture.exists():
        return found
    painting = read_image(picture).rgb
    height, width = painting.shape[-2:]
    style = as_style(cell.sources.style, max(height, width)).rgb
    if judge is not None:
        distances = _case(judge, cell.sources, height, width).distances(painting)
        found |= {"style_distance": distances.style, "content_distance": distances.content}
    return found | _artefacts(painting, style)


def _artefacts(painting: Tensor, style: Tensor) -> dict[str, float]:
    try:
        found = artefacts(painting, style)
    except InputError:  # too small to tell
        return {}
    return {
        "grid": found.grid,
        "grid_of_style": found.grid_of_style,
        "noise": found.noise,
        "chroma_noise": found.chroma_noise,
        "border": found.border,
    }


_cases: dict[tuple[str, Sources, int, int], Case] = {}


def _case(judge: str, sources: Sources, height: int, width: int) -> Case:
    key = (judge, sources, height, width)
    if key not in _cases:
        while len(_cases) >= CASES:
            _cases.pop(next(iter(_cases)))
        content = read_image(sources.content).rgb
        style = as_style(sources.style, max(height, width)).rgb
        _cases[key] = Case(judge_named(judge), content, style, height, width)
    return _cases[key]
