"""What is known of each painting of a laboratory, in memory and as a table on disk."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, TypeVar

from ..atomic import write_atomically
from ..errors import InputError
from .frontier import compared
from .judge import Distances
from .plan import Cell, Sources

INDICES = ("grid", "grid_of_style", "noise", "chroma_noise", "border")
"""Of artefacts, as `artefacts.Artefacts` names them."""


@dataclass(frozen=True)
class Row:
    """A cell, and what became of it.

    Attributes:
        cell: that was painted.
        found: network, steps, seconds, peak_mb, style_distance, content_distance, INDICES,
            loss and losses of the last step; `error` of a painting that broke off. What was not
            measured is None.
    """

    cell: Cell
    found: Mapping[str, Any]

    @property
    def file(self) -> str:
        """Of the painting, below the laboratory's folder."""
        return f"paintings/{self.cell.key}.png"

    @property
    def failed(self) -> bool:
        return self.found.get("error") is not None

    @property
    def distances(self) -> Distances | None:
        """Under the judge, if there was one and the painting came out."""
        if self.failed:
            return None
        style, content = self.found.get("style_distance"), self.found.get("content_distance")
        if style is None or content is None:
            return None
        return Distances(style, content)

    @property
    def grid_against_style(self) -> float | None:
        grid, of_style = self.found.get("grid"), self.found.get("grid_of_style")
        return None if not grid or not of_style else grid / of_style

    @property
    def noise_beyond_style(self) -> float:
        """The noise index, but 1 at least: less fine grain than the style has is no merit."""
        return max(self.found.get("noise") or 1.0, 1.0)

    def fact(self, name: str) -> Any:
        """What the lesson noted of the cell."""
        return self.cell.facts.get(name)

    def flat(self) -> dict[str, Any]:
        """Of plain values, for a table."""
        settings = {
            f"setting_{name}": value if isinstance(value, (int, float)) else str(value)
            for name, value in self.cell.settings.items()
        }
        found = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in self.found.items()}
        return {
            "sheet": self.cell.sheet,
            "row": self.cell.row,
            "column": self.cell.column,
            "content": self.cell.sources.content.name,
            "style": Path(self.cell.sources.style).name,
            "file": self.file,
            "command": self.cell.command(),
            **found,
            "grid_against_style": self.grid_against_style,
            **settings,
        }


def write_table(rows: Sequence[Row], path: Path) -> None:
    """A Parquet file with a row for each painting.

    Raises:
        InputError: as `write_lines`.
    """
    write_lines([row.flat() for row in rows], path)


def write_lines(flat: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A Parquet file of plain values by name; what a line does not have is null.

    Raises:
        InputError: pyarrow is missing, or the file cannot be written.
    """
    pyarrow, parquet = _pyarrow()
    names = list(dict.fromkeys(name for row in flat for name in row))
    columns = {name: _one_kind([row.get(name) for row in flat]) for name in names}
    made = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), made)
    write_atomically(path, made.getvalue())


def _one_kind(values: list[Any]) -> list[Any]:
    """Numbers stay numbers; where something else is among them, all become text."""
    there = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in there):
        return values
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in there):
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]


def check_tables() -> None:
    """Makes sure, before anything is painted, that a table can be written.

    Raises:
        InputError: pyarrow is missing.
    """
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            "the laboratory needs pyarrow, which is not installed: pip install 'bitbrush[lab]'"
        ) from None
    return pyarrow, parquet


Value = Callable[[Row], float | None]
Key = TypeVar("Key")


def values(rows: Iterable[Row], of: str | Value) -> list[float]:
    """A figure of every row that has it, by its name in `found` or by a function.

    Of paintings that broke off there is none: what stands there is the last good step's.
    """
    get: Value = (lambda row: row.found.get(of)) if isinstance(of, str) else of
    there = [get(row) for row in rows if not row.failed]
    return [value for value in there if value is not None and math.isfinite(value)]


def middle(rows: Iterable[Row], of: str | Value) -> float | None:
    """The median; None if no row has it."""
    found = values(rows, of)
    return median(found) if found else None


def over_pairs(own: Iterable[Row], others: Iterable[Row], of: str | Value) -> list[float]:
    """For every pair of content and style that both have, a figure of the one over the other's.

    Args:
        of: a positive figure. Paintings of a pair with several content weights count by the
            geometric mean over those weights that both have.
    """
    ours, theirs = (_by_weight(rows, of) for rows in (own, others))
    found: dict[Sources, list[float]] = {}
    for key in ours.keys() & theirs.keys():
        found.setdefault(key[0], []).append(ours[key] / theirs[key])
    return [
        geometric_mean(found[pair])
        for pair in dict.fromkeys(pair for pair, _ in ours)
        if pair in found
    ]


def by_pair(rows: Iterable[Row], of: str | Value) -> dict[Sources, float]:
    """A positive figure of every pair that has it; the geometric mean over a pair's paintings."""
    return _means(((row.cell.sources, row) for row in rows), of)


def _by_weight(rows: Iterable[Row], of: str | Value) -> dict[tuple[Sources, Any], float]:
    """A positive figure by pair and content weight, which is None where it is the network's own."""
    weight = "content_weight"
    return _means((((row.cell.sources, row.cell.settings.get(weight)), row) for row in rows), of)


def _means(rows: Iterable[tuple[Key, Row]], of: str | Value) -> dict[Key, float]:
    found: dict[Key, list[Row]] = {}
    for key, row in rows:
        found.setdefault(key, []).append(row)
    means = {key: mean_of_ratios(own, of) for key, own in found.items()}
    return {key: value for key, value in means.items() if value}


def mean_of_ratios(rows: Iterable[Row], of: str | Value) -> float | None:
    """The geometric mean, for figures that are ratios; None if no row has a positive one."""
    found = _ratios(rows, of)
    return geometric_mean(found) if found else None


def told_mean(rows: Iterable[Row], of: str | Value) -> str | None:
    """That mean with its 95 % interval, of rows that are each of another pair."""
    found = _ratios(rows, of)
    return compared(found).text() if found else None


def _ratios(rows: Iterable[Row], of: str | Value) -> list[float]:
    return [value for value in values(rows, of) if value > 0]
