"""The page of an atlas: maps side by side, to be zoomed into together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ...atomic import write_atomically
from ..report.page import check_reports, embedded_picture
from .atlas import Atlas


@dataclass(frozen=True)
class Place:
    """A cell as the page shows it, in per cent of the map."""

    left: float
    top: float
    edge: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One network's part of the page; channels are numbers, each with its picture."""

    title: str
    image: str
    places: Sequence[Place]
    channels: Sequence[tuple[int, str]]


def write_page(atlases: Sequence[Atlas], path: Path, facts: Mapping[str, str]) -> None:
    """Writes one file with everything in it.

    Raises:
        InputError: the template engine is missing, or the file cannot be written.
    """
    check_reports()
    from jinja2 import Environment, select_autoescape

    environment = Environment(
        autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    text = files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(text).render(
        charts=[_chart(atlas) for atlas in atlases],
        names_classes=any(cell.classes for atlas in atlases for cell, _ in atlas.cells),
        facts=facts,
    )
    write_atomically(path, page.encode())


def _chart(atlas: Atlas) -> Chart:
    edge = 100 / atlas.side
    places = []
    for cell, _ in atlas.cells:
        text = f"{cell.count} vectors"
        if cell.classes:
            text = f"{', '.join(cell.classes)} ({text})"
        places.append(Place(cell.column * edge, cell.row * edge, edge, text))
    return Chart(
        f"{atlas.plan.subject.label}, {atlas.plan.tap}",
        embedded_picture(atlas.mosaic(), whole=True),
        places,
        [(channel, embedded_picture(picture)) for channel, picture in atlas.channels],
    )
