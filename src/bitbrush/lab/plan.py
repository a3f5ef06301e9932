"""What a laboratory is going to paint: cells, each a painting with its place in the report."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError
from ..style.settings import PaintSettings, make_settings, option_name
from ..style.sources import is_name_of_style
from ..weights.download import file_sha256
from ..weights.loading import find_default
from .evaluate import ENDINGS, is_picture


@dataclass(frozen=True)
class Sources:
    """A content and a style.

    Attributes:
        content: a file.
        style: a file, or the name of a built-in style.
    """

    content: Path
    style: str

    @property
    def name(self) -> str:
        """For files, tables and captions."""
        return f"{self.content.stem}+{Path(self.style).stem}"


@dataclass(frozen=True)
class Cell:
    """One painting of a plan.

    Attributes:
        sources: what it is made from.
        settings: of `PaintSettings`, those that differ from the defaults.
        sheet, row, column: where it stands in the report.
        facts: what else the lesson wants to know of it, such as the weight that was varied.
    """

    sources: Sources
    settings: Mapping[str, Any]
    sheet: str = ""
    row: str = ""
    column: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A name for the painting that two cells share if, and only if, they are painted alike."""
        style = self.sources.style
        settings = dict(self.settings)
        weights = mark_of_weights(settings.get("network", ""), settings.pop("weights", "default"))
        told = {
            "bitbrush": __version__,
            "content": digest(self.sources.content),
            "style": digest(Path(style)) if Path(style).is_file() else style,
            "settings": settings,
            **({} if weights is None else {"weights": weights}),
        }
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def full_settings(self) -> PaintSettings:
        """All settings.

        Raises:
            InputError: they are no good.
        """
        return make_settings(self.settings)

    def command(self, output: str = "painting.png") -> str:
        """What paints it again, on one line of a shell."""
        words = ["bitbrush", "paint", str(self.sources.content), self.sources.style, "-o", output]
        for name, value in self.settings.items():
            if isinstance(value, bool):
                words.append(option_name(name if value else f"no_{name}"))
            else:
                words += [option_name(name), _text(value)]
        return shlex.join(words)


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(str(part) for part in value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def mark_of_weights(network: str, weights: str) -> str | None:
    """What tells a network's weights from others of it; None of those that bitbrush ships.

    Of a file only the content counts, not where it lies.
    """
    if weights == "default":
        info = find_default(network) if network else None
        if info is None or info.origin == "shipped":
            return None
        weights = str(info.path)
    return digest(Path(weights)) if Path(weights).is_file() else weights


@cache
def digest(path: Path) -> str:
    """SHA-256 in hex of a file, which is taken not to change while the process runs."""
    return file_sha256(path)


def cells_once(cells: Iterable[Cell]) -> list[Cell]:
    """Without those whose painting is in the list already."""
    found: dict[str, Cell] = {}
    for cell in cells:
        found.setdefault(cell.key, cell)
    return list(found.values())


def pair_by_pair(cells: Sequence[Cell]) -> list[Cell]:
    """All cells of the first pair, then those of the next; within a pair they keep their order.

    Pairs are what lessons compare, so that a plan that is cut short has whole ones.
    """
    places = {pair: place for place, pair in enumerate(dict.fromkeys(c.sources for c in cells))}
    return sorted(cells, key=lambda cell: places[cell.sources])


def sources_of(content: Path, style: str, one_to_one: bool = False) -> list[Sources]:
    """Every content with every style, or the first with the first, the second with the second.

    Args:
        content: a picture, or a folder of pictures.
        style: the same, or the name of a built-in style.
        one_to_one: each content with one style, in order of their names.
    Raises:
        InputError: there is no such file or built-in style, no picture in a folder, or not as many
            of the one as of the other.
    """
    contents = pictures_in(content)
    styles: Sequence[str]
    if not Path(style).is_dir() and is_name_of_style(style):
        styles = [style]
    else:
        styles = [str(path) for path in pictures_in(Path(style))]
    if one_to_one:
        if len(contents) != len(styles):
            raise InputError(
                "--one-to-one takes as many styles as photographs; "
                f"photographs: {len(contents)}, styles: {len(styles)}"
            )
        return [Sources(*pair) for pair in zip(contents, styles, strict=True)]
    return [Sources(*pair) for pair in product(contents, styles)]


def pictures_in(place: Path) -> list[Path]:
    """The file itself, or the pictures of a folder in order of their names.

    Raises:
        InputError: there are none.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(f"there is no file or folder {place}")
    found = sorted(path for path in place.iterdir() if is_picture(path))
    if not found:
        raise InputError(f"there is no picture in {place} ({', '.join(ENDINGS)})")
    return found


def with_settings(cell: Cell, **more: Any) -> Cell:
    """The cell with other settings."""
    return dataclasses.replace(cell, settings={**cell.settings, **more})
