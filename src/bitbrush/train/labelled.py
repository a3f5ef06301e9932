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
    """One labelled picture as it lies on the disk; the split is "" where none is told."""

    data: bytes
    label: int | str
    split: str = ""


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
    perhaps `split`. A folder has a folder for each class, or `train` and `val` with these.

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


def decoded(
    rows: Iterator[Row],
    source: Path,
    size: int | None = None,
    classes: Sequence[str] | None = None,
    progress: Callable[[int], None] = lambda count: None,
    largest: int | None = None,
) -> dict[str, Labelled]:
    """The pictures of each split, as squares: the middle of each, resampled where need be.

    Args:
        source: what messages are to call it.
        size: side in pixels; None takes the short side of the first picture, at most `largest`.
        classes: their names where labels are their numbers; else the labels that occur, sorted.
        progress: called with the number of pictures done.
        largest: in pixels; None leaves the first picture's side as it is.
    Raises:
        InputError: no picture, one that cannot be decoded, or a label that is no class.
    """
    # Bytes that grow where they lie: pictures put together at the end would be there twice.
    pixels: dict[str, bytearray] = {}
    labels: dict[str, list[int | str]] = {}
    for number, row in enumerate(rows, 1):
        picture = decoded_picture(row.data, f"picture {number} of {source}")
        if size is None:
            size = min(picture.size) if largest is None else min(*picture.size, largest)
        pixels.setdefault(row.split, bytearray()).extend(_square(picture, size))
        labels.setdefault(row.split, []).append(row.label)
        progress(number)
    if size is None or not pixels:
        raise InputError(f"no pictures in {source}")
    if classes is None:
        found = sorted({label for split in labels.values() for label in split}, key=_order)
        numbers = {label: index for index, label in enumerate(found)}
        classes = [str(label) for label in found]
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
    splits = {each.name: each for each in source.iterdir() if each.name in _SPLITS}
    found = False
    for name, top in sorted(splits.items()) if splits else [("", source)]:
        for folder in sorted(each for each in top.iterdir() if each.is_dir()):
            for file in picture_files(folder):
                found = True
                yield Row(file.read_bytes(), folder.name, _SPLITS.get(name, ""))
    if not found:
        raise InputError(f"{source} has no folders of pictures, one for each class")


def _parquet(source: Path) -> Iterator[Row]:
    for row in parquet_rows(source, "label"):
        if not isinstance(row["label"], int | str):
            raise InputError(f"{source} needs numbers or names as label")
        split = str(row.get("split") or "")
        yield Row(row["image"], row["label"], _SPLITS.get(split, split))
