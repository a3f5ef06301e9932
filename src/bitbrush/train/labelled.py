"""Pictures with classes: read from where they lie, decoded once to squares of one size."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError
from .pictures import PICTURE_ENDINGS

TRAINING, VALIDATION = "train", "val"
_SPLITS = {
    "train": TRAINING,
    "training": TRAINING,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
}
IMAGE_COLUMNS = ("image", "img")


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

    A parquet file has a column `image` (or `img`) with a picture file's bytes, a column `label`,
    and perhaps `split`. A folder has a folder for each class, or `train` and `val` with these.

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
) -> dict[str, Labelled]:
    """The pictures of each split, as squares: the middle of each, resampled where need be.

    Args:
        source: what messages are to call it.
        size: side in pixels; None takes the short side of the first picture.
        classes: their names where labels are their numbers; else the labels that occur, sorted.
        progress: called with the number of pictures done.
    Raises:
        InputError: no picture, one that cannot be decoded, or a label that is no class.
    """
    pixels: dict[str, list[NDArray[np.uint8]]] = {}
    labels: dict[str, list[int | str]] = {}
    for number, row in enumerate(rows, 1):
        try:
            picture = Image.open(io.BytesIO(row.data)).convert("RGB")
        except (OSError, ValueError) as error:
            raise InputError(f"picture {number} of {source} cannot be decoded") from error
        size = size or min(picture.size)
        pixels.setdefault(row.split, []).append(_square(picture, size))
        labels.setdefault(row.split, []).append(row.label)
        progress(number)
    if not pixels:
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
            np.stack(pixels[split]),
            np.array([numbers[label] for label in labels[split]], np.int64),
            tuple(classes),
        )
        for split in pixels
    }


def _order(label: int | str) -> tuple[int, str]:
    return (label, "") if isinstance(label, int) else (0, label)


def _square(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    if picture.size != (size, size):
        box = (left, top, left + side, top + side)
        picture = picture.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.asarray(picture)


def _folder(source: Path) -> Iterator[Row]:
    splits = {each.name: each for each in source.iterdir() if each.name in _SPLITS}
    found = False
    for name, top in sorted(splits.items()) if splits else [("", source)]:
        for folder in sorted(each for each in top.iterdir() if each.is_dir()):
            for file in sorted(folder.rglob("*")):
                if file.suffix.lower() in PICTURE_ENDINGS:
                    found = True
                    yield Row(file.read_bytes(), folder.name, _SPLITS.get(name, ""))
    if not found:
        raise InputError(f"{source} has no folders of pictures, one for each class")


def _parquet(source: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError("parquet files need pyarrow: pip install 'bitbrush[train]'") from None
    try:
        file = parquet.ParquetFile(source)
        names = file.schema_arrow.names
        image = next((name for name in IMAGE_COLUMNS if name in names), None)
        if image is None or "label" not in names:
            raise InputError(f"{source} needs columns image and label, has {', '.join(names)}")
        columns = [image, "label", *(["split"] if "split" in names else [])]
        for batch in file.iter_batches(256, columns=columns):
            for row in batch.to_pylist():
                yield _row(row, image, source)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{source} is no parquet file, or damaged") from error


def _row(row: dict[str, Any], image: str, source: Path) -> Row:
    # Hugging Face's files have a structure of a picture's bytes and the name of its file.
    data = row[image].get("bytes") if isinstance(row[image], dict) else row[image]
    if not isinstance(data, bytes) or not isinstance(row["label"], int | str):
        raise InputError(
            f"{source} needs the bytes of pictures as image, and numbers or names as label"
        )
    split = str(row.get("split") or "")
    return Row(data, row["label"], _SPLITS.get(split, split))
