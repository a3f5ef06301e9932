"""Judging paintings: one, or a folder of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import InputError
from ..images import Picture, read_image, read_metadata
from ..style.sources import Source, as_picture, as_style
from .artefacts import Artefacts, artefacts
from .judge import SQUEEZENET, Case, Distances, Judge

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Of files that paintings are kept in."""


def is_picture(path: Path) -> bool:
    """By its name. Hidden files with such endings, which some systems leave beside pictures, are
    none."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


@dataclass(frozen=True)
class Evaluation:
    """What is said of one painting.

    Attributes:
        painting, content, style: names of the files.
        network: that painted it, where the file tells.
        content_weight: that it was painted with, where the file tells.
        seconds: that painting took, where the file tells.
        distances: under the judge.
        artefacts: None of a painting that is too small to tell.
    """

    painting: str
    content: str
    style: str
    network: str | None
    content_weight: float | None
    seconds: float | None
    distances: Distances
    artefacts: Artefacts | None

    def as_json(self) -> dict[str, Any]:
        """Of plain values."""
        held = asdict(self)
        if self.artefacts is not None:
            held["artefacts"]["grid_against_style"] = self.artefacts.grid_against_style
        return held


def evaluate(
    painting: Source,
    content: Source,
    style: Source,
    judge: Judge | str = SQUEEZENET,
) -> Evaluation:
    """How good a painting is: its distances to style and content, and what should not be in it.

    Args:
        painting, content, style: files, or pictures in memory as for `paint`. The content is
            resized to the painting, the style to the painting's long edge.
        judge: a network that took no part in the painting, or its name.
    Raises:
        InputError: a picture or the judge is no good.
        NetworkMissingError: the judge's weights are not on this machine.
    """
    ours = as_picture(painting)
    height, width = ours.height, ours.width
    if isinstance(judge, str):
        judge = Judge.load(judge)
    of_style = as_style(style, max(height, width))
    of_content = as_picture(content)
    case = Case(judge, of_content.rgb, of_style.rgb, height, width)
    told = _told(painting)
    return Evaluation(
        painting=ours.name,
        content=of_content.name,
        style=of_style.name,
        network=told.get("network"),
        content_weight=told.get("content_weight"),
        seconds=told.get("seconds"),
        distances=case.distances(ours.rgb),
        artefacts=_artefacts(ours.rgb, case.style),
    )


def _artefacts(painting: Tensor, style: Tensor) -> Artefacts | None:
    try:
        return artefacts(painting, style)
    except InputError:
        return None


def _told(painting: Source) -> dict[str, Any]:
    """What a painting's file says of how it was made."""
    if not isinstance(painting, (str, Path)):
        return {}
    try:
        metadata = read_metadata(painting)
    except InputError:
        return {}
    resolved = metadata.get("resolved", {})
    return {
        "network": resolved.get("network"),
        "content_weight": resolved.get("content_weight"),
        "seconds": metadata.get("seconds"),
    }


@dataclass(frozen=True)
class Made:
    """A painting's file and those that it was made from."""

    painting: Path
    content: Path
    style: Path | str


def made_from(folder: Path, content: Path, style: Path | str) -> list[Made]:
    """The paintings of a folder with their contents and styles.

    Args:
        folder: of files that bitbrush wrote, or one such file.
        content: the file that all of them show; or a folder, in which each finds its own by what
            it says of its making.
        style: the same of the style; or the name of a built-in style.
    Raises:
        InputError: there is no painting, or one whose sources cannot be found.
    """
    paintings = [folder]
    if folder.is_dir():
        paintings = sorted(p for p in folder.iterdir() if is_picture(p))
        if not paintings:
            raise InputError(f"there is no painting in {folder} ({', '.join(ENDINGS)})")
    return [
        Made(painting, _source(painting, content, "content"), _style(painting, style))
        for painting in paintings
    ]


def _style(painting: Path, style: Path | str) -> Path | str:
    if isinstance(style, str) and not Path(style).exists():
        return style
    return _source(painting, Path(style), "styles")


def _source(painting: Path, place: Path, kind: str) -> Path:
    """The place itself if it is a file, or the file in it that the painting names."""
    if not place.is_dir():
        return place
    try:
        found = read_metadata(painting).get(kind)
    except InputError as error:
        raise InputError(f"{error}; name files, not folders, as its content and style") from error
    named: Sequence[Any] = found if isinstance(found, list) else [found]
    if len(named) != 1:
        raise InputError(f"{painting} has several styles; name the one to judge by")
    name = named[0].get("name") if isinstance(named[0], dict) else None
    # A name out of a file is not to lead anywhere else.
    path = place / Path(str(name)).name
    if name is None or not path.is_file():
        raise InputError(f"{painting} was made from {name}, which is not in {place}")
    return path


def evaluations(made: Sequence[Made], judge: Judge) -> Iterator[Evaluation]:
    """Judges one after the other."""
    for each in made:
        yield evaluate(each.painting, each.content, each.style, judge)


def pictures_of(made: Made) -> list[Picture]:
    """Content, style and painting, for a sheet."""
    painting = read_image(made.painting)
    style = made.style if isinstance(made.style, str) else str(made.style)
    return [as_picture(made.content), as_style(style, painting.width), painting]
