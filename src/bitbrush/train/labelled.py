"""Pictures with classes: read from where they lie, decoded once to squares of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError
from .reading import decoded_picture, parquet_rows, picture_files

TRAINING, VALIDATION = "train", "val"
_SPLITS = {
    "train": TRAINING,
    "training": TRAINING,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
}


@dataclass(frozen=True)
class Labelled:
    """Pictures of one size and the class of each.

    Attributes:
        pixels: RGB uint8 [N, S, S, 3].
        labels: int64 [N], indices into `classes`.
        classes: their names.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return int(self.pixels.shape[1])

    def taken(self, indices: NDArray[np.int64]) -> Labelled:
        """The pictures of these indices, in their order."""
        return Labelled(self.pixels[indices], self.labels[indices], self.classes)


@dataclass(frozen=True)
class Row:
    """One labelled picture as it lies on the disk.

    Attributes:
        data: of a picture file.
        split: "" where none is told.
        file: that it is, of a folder; None of a row of a parquet file.
    """

    data: bytes
    label: int | str
    split: str = ""
    file: Path | None = None


def held_out(pictures: Labelled, count: int, seed: int) -> tuple[Labelled, Labelled]:
    """Pictures to train with, and `count` others, drawn by the seed.

    Raises:
        InputError: nothing would be left to train with.
    """
    if not 0 <= count < len(pictures):
        raise InputError(f"{count} pictures cannot be held out of {len(pictures)}")
    order = np.random.default_rng(seed).permutation(len(pictures))
    return pictures.taken(np.sort(order[count:])), pictures.taken(np.sort(order[:count]))


def rows_of(source: Path) -> Iterator[Row]:
    """The labelled pictures of a parquet file or a folder.

    A parquet file is as `parquet_rows` reads it, with a column `label` of numbers or names, and
    perhaps `split`. A folder has a folder for each class, or `train` and `val` with these. Hidden
    files and folders are none of it.

    Raises:
        InputError: neither of these, other columns, or no picture in it.
    """
    if source.is_dir():
        yield from _folder(source)
    elif source.suffix == ".parquet" and source.is_file():
        yield from _parquet(source)
    elif not source.exists():
        raise InputError(f"there is no {source}")
    else:
        raise InputError(f"{source} is neither a folder of pictures nor a .parquet file")


def first_side(rows: Iterator[Row], source: Path) -> int:
    """The short side in pixels of the first picture; files that cannot be decoded are passed over.

    Args:
        source: what messages are to call it.
    Raises:
        InputError: no picture, or a parquet file's first one cannot be decoded.
    """
    for _, picture in _pictures(rows, source, []):
        return min(picture.size)
    raise _nothing(source)


def decoded(
    rows: Iterator[Row],
    source: Path,
    size: int,
    classes: Sequence[str] | None = None,
    progress: Callable[[int], None] = lambda count: None,
    left_out: list[Path] | None = None,
    names: Sequence[str] = (),
) -> dict[str, Labelled]:
    """The pictures of each split, as squares: the middle of each, resampled where need be.

    Args:
        source: what messages are to call it.
        size: side in pixels.
        classes: their names where labels are their numbers; else the labels that occur, sorted.
        progress: called with the number of pictures done.
        left_out: where given, files that cannot be decoded are left out and added to it.
        names: without `classes`, what labels that are numbers are called.
    Raises:
        InputError: no picture, one that cannot be decoded, or a label that is no class.
    """
    # Bytes that grow where they lie: pictures put together at the end would be there twice.
    pixels: dict[str, bytearray] = {}
    labels: dict[str, list[int | str]] = {}
    for number, (row, picture) in enumerate(_pictures(rows, source, left_out), 1):
        pixels.setdefault(row.split, bytearray()).extend(_square(picture, size))
        labels.setdefault(row.split, []).append(row.label)
        progress(number)
    if not pixels:
        raise _nothing(source)
    if classes is None:
        found = sorted({label for split in labels.values() for label in split}, key=_order)
        numbers = {label: index for index, label in enumerate(found)}
        classes = [_name(label, names) for label in found]
    else:
        numbers = {index: index for index in range(len(classes))}
    unknown = {label for split in labels.values() for label in split} - numbers.keys()
    if unknown:
        label = min(unknown, key=_order)
        raise InputError(f"{source} has the label {label!r}, not 0 to {len(classes) - 1}")
    return {
        split: Labelled(
            np.frombuffer(pixels[split], np.uint8).reshape(-1, size, size, 3),
            np.array([numbers[label] for label in labels[split]], np.int64),
            tuple(classes),
        )
        for split in pixels
    }


def _pictures(
    rows: Iterator[Row], source: Path, left_out: list[Path] | None
) -> Iterator[tuple[Row, Image.Image]]:
    for number, row in enumerate(rows, 1):
        name = f"picture {number} of {source}" if row.file is None else str(row.file)
        try:
            picture = decoded_picture(row.data, name)
        except InputError:
            # A row of a parquet file has no name by which it could be told, and mended.
            if row.file is None or left_out is None:
                raise
            left_out.append(row.file)
            continue
        yield row, picture


def _name(label: int | str, names: Sequence[str]) -> str:
    return names[label] if isinstance(label, int) and 0 <= label < len(names) else str(label)


def _nothing(source: Path) -> InputError:
    return InputError(f"no pictures in {source} that can be decoded")


def _order(label: int | str) -> tuple[int, str]:
    return (label, "") if isinstance(label, int) else (0, label)


def _square(picture: Image.Image, size: int) -> bytes:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    if picture.size != (size, size):
        box = (left, top, left + side, top + side)
        picture = picture.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return picture.tobytes()


def _folder(source: Path) -> Iterator[Row]:
    # A split holds folders; what holds pictures alone is a class, even if it is called "train".
    splits = [each for each in _folders(source) if each.name in _SPLITS and _folders(each)]
    found = False
    for top in splits or [source]:
        for folder in _folders(top):
            for file in picture_files(folder):
                found = True
                split = _SPLITS[top.name] if splits else ""
                yield Row(file.read_bytes(), folder.name, split, file)
    if not found:
        raise InputError(f"{source} has no folders of pictures, one for each class")


def _folders(folder: Path) -> list[Path]:
    return sorted(e for e in folder.iterdir() if e.is_dir() and not e.name.startswith("."))


def _parquet(source: Path) -> Iterator[Row]:
    for row in parquet_rows(source, "label"):
        if not isinstance(row["label"], int | str):
            raise InputError(f"{source} needs numbers or names as label")
        split = str(row.get("split") or "")
        yield Row(row["image"], row["label"], _SPLITS.get(split, split))
