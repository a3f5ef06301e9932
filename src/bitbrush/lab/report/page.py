"""Writing the page. Everything is in it: pictures, plots, style and script; nothing is fetched."""

from __future__ import annotations

import base64
import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ... import __version__
from ...atomic import write_atomically
from ...errors import InputError
from ...images import read_image, to_pillow
from ...style.sources import as_style
from ..plan import Cell, Sources
from ..rows import Row
from .findings import Findings

SHOWN = 640
"""Longest side in pixels of a picture in the page."""

QUALITY = 88
"""Of its JPEG."""


@dataclass(frozen=True)
class Shot:
    """A picture of the contact sheet."""

    image: str
    caption: str
    command: str = ""
    lines: Sequence[str] = ()


@dataclass
class Sheet:
    """A table of pictures: rows and columns as the cells name them."""

    title: str
    columns: list[str] = field(default_factory=list)
    rows: dict[str, dict[str, list[Shot]]] = field(default_factory=dict)

    def add(self, row: str, column: str, shot: Shot) -> None:
        if column not in self.columns:
            self.columns.append(column)
        self.rows.setdefault(row, {}).setdefault(column, []).append(shot)


def write_report(
    path: Path,
    title: str,
    question: str,
    rows: Sequence[Row],
    findings: Findings,
    facts: Mapping[str, str],
    remarks: Sequence[str] = (),
) -> None:
    """Writes the page.

    Args:
        path: of the file; the paintings lie in `paintings` beside it.
        question: what was asked, in a sentence or two.
        facts: what else was run, by name.
        remarks: what has to be known before the figures.
    Raises:
        InputError: the template engine is missing, or the file cannot be written.
    """
    check_reports()
    from jinja2 import Environment, select_autoescape

    environment = Environment(
        autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["figure"] = _figure
    template = environment.from_string(
        files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    )
    text = template.render(
        title=title,
        question=question,
        remarks=remarks,
        findings=findings,
        plots=[(figure, _data(figure.svg, "image/svg+xml")) for figure in findings.figures],
        sheets=_sheets(rows, path.parent),
        facts={"bitbrush": __version__, "torch": torch.__version__, **_machine(), **facts},
    )
    write_atomically(path, text.encode())


def check_reports() -> None:
    """Makes sure, before anything is painted, that a page can be written.

    Raises:
        InputError: jinja2, matplotlib or SciPy, which intervals need, is missing.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"the laboratory needs {error.name}, which is not installed: "
            "pip install 'bitbrush[lab]'"
        ) from None


def _machine() -> dict[str, str]:
    return {"machine": f"{platform.machine()}, {platform.system()}"}


def _figure(value: Any) -> str:
    """A cell of a table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _sheets(rows: Sequence[Row], folder: Path) -> list[Sheet]:
    cells: dict[str, list[Cell]] = {}
    for row in rows:
        cells.setdefault(row.cell.sheet, []).append(row.cell)
    sheets = {title: _begun(title, own) for title, own in cells.items()}
    for row in rows:
        cell = row.cell
        picture = folder / row.file
        if picture.exists():
            shot = Shot(
                _embedded(Image.open(picture)),
                " · ".join(part for part in (cell.row, cell.column, cell.sources.name) if part),
                cell.command(),
                _lines(row),
            )
            sheets[cell.sheet].add(_line(cell), cell.column, shot)
    return list(sheets.values())


def _line(cell: Cell) -> str:
    return cell.row or cell.sources.name


def _begun(title: str, cells: Sequence[Cell]) -> Sheet:
    """With the pictures that were painted from: each pair in its row, or, where a row is of one
    content and a column of one style, those at the heads of rows and columns."""
    sheet = Sheet(title)
    contents = {(_line(cell), cell.sources.content) for cell in cells}
    styles = {(cell.column, cell.sources.style) for cell in cells}
    pairs = dict.fromkeys(cell.sources for cell in cells)
    lines, columns = {_line(cell) for cell in cells}, {cell.column for cell in cells}
    if len(contents) == len(lines) < len(pairs) and len(styles) == len(columns):
        sheet.columns.append("")
        for cell in {cell.column: cell for cell in cells}.values():
            sheet.add("", cell.column, _of_style(cell.sources))
        for cell in {_line(cell): cell for cell in cells}.values():
            sheet.add(_line(cell), "", _of_content(cell.sources))
    else:
        first: dict[Sources, Cell] = {}
        for cell in cells:
            first.setdefault(cell.sources, cell)
        for sources, cell in first.items():
            for shot in (_of_content(sources), _of_style(sources)):
                sheet.add(_line(cell), "content, style", shot)
    return sheet


def _of_content(sources: Sources) -> Shot:
    return Shot(embedded_picture(read_image(sources.content).rgb), sources.content.name)


def _of_style(sources: Sources) -> Shot:
    return Shot(embedded_picture(as_style(sources.style, SHOWN).rgb), Path(sources.style).name)


def embedded_picture(picture: torch.Tensor, whole: bool = False) -> str:
    """A picture RGB [1, 3, H, W] as a data URI; made smaller, unless the whole is asked for."""
    return _embedded(to_pillow(picture), whole)


def _lines(row: Row) -> list[str]:
    """What stands under a picture."""
    lines = []
    distances = row.distances
    if distances is not None:
        lines.append(f"style {distances.style:.3f}, content {distances.content:.3f}")
    if row.grid_against_style is not None:
        lines.append(f"grid {row.grid_against_style:.2f}, noise {row.found['noise']:.2f}")
    lines.append(f"{row.found['seconds']:.1f} s")
    if row.failed:
        lines.append(f"broke off: {row.found['error']}")
    return lines


def _embedded(image: Image.Image, whole: bool = False) -> str:
    small = image.convert("RGB")
    if not whole:
        small.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    small.save(made, "JPEG", quality=QUALITY)
    return _data(made.getvalue(), "image/jpeg")


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
