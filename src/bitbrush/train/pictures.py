"""Training pictures: decoded once into one file, then cropped at random."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from .reading import decoded_picture, parquet_rows, picture_files


def encoded_pictures(source: Path) -> Iterator[bytes]:
    """The files' bytes of a folder of pictures, or of a parquet file as `parquet_rows` reads it.

    Raises:
        InputError: neither of these, or nothing in it.
    """
    for data, _ in labelled_pictures(source):
        yield data


def labelled_pictures(source: Path) -> Iterator[tuple[bytes, str]]:
    """Pictures as `encoded_pictures` gives them, and what each shows, "" where nobody tells.

    In a folder that is the name of the folder within it, in a parquet file the column `label`.
    """
    if source.is_dir():
        files = picture_files(source)
        if not files:
            raise InputError(f"no pictures in the folder {source}")
        for file in files:
            label = file.parent.relative_to(source).as_posix()
            yield file.read_bytes(), "" if label == "." else label
    elif source.suffix == ".parquet" and source.is_file():
        for row in parquet_rows(source):
            told = row.get("label")
            yield row["image"], "" if told is None else str(told)
    else:
        raise InputError(f"{source} is neither a folder of pictures nor a .parquet file")


class PictureCache:
    """Decoded RGB pictures in one memory-mapped file, with their sizes beside it.

    Attributes:
        sizes: [N, 2] heights and widths in pixels.
        labels: int64 [N], which class each picture shows, -1 where nobody tells.
        classes: how many classes there are.
        left_out: how many pictures were like unwanted ones.
    """

    def __init__(self, path: Path) -> None:
        """Opens what `build` wrote."""
        header = json.loads(path.with_suffix(".json").read_text())
        self.sizes = np.array(header["sizes"], dtype=np.int64).reshape(-1, 2)
        self.left_out = int(header.get("left_out", 0))
        names = header.get("labels") or [""] * len(self.sizes)
        numbers = {name: number for number, name in enumerate(sorted(set(names) - {""}))}
        self.labels = np.array([numbers.get(name, -1) for name in names], dtype=np.int64)
        self.classes = len(numbers)
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes.prod(1) * 3)])
        self.pixels = np.memmap(path, dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """The picture as uint8 [H, W, 3]."""
        height, width = self.sizes[index]
        pixels = self.pixels[self.offsets[index] : self.offsets[index + 1]]
        return pixels.reshape(height, width, 3)

    @staticmethod
    def build(
        sources: Sequence[Path],
        path: Path,
        short_side: int = 128,
        progress: Callable[[int], None] = lambda count: None,
        unwanted: Container[Image.Image] = (),
    ) -> PictureCache:
        """Decodes every picture that is large enough, shrunk to the short side, into `path`.

        Files that cannot be decoded are left out. An existing cache is used as it is; the header
        is written last, so that an interrupted build is not mistaken for one.

        Args:
            short_side: in pixels; smaller pictures are left out.
            progress: called with the number of pictures done.
            unwanted: pictures to leave out, see `duplicates.Unwanted`.
        """
        if path.with_suffix(".json").exists():
            return PictureCache(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        sizes: list[tuple[int, int]] = []
        labels: list[str] = []
        left_out = 0
        with path.open("wb") as file:
            for source in sources:
                for data, label in labelled_pictures(source):
                    try:
                        picture = decoded_picture(data, "a picture")
                    except InputError:
                        continue
                    scale = short_side / min(picture.size)
                    if scale > 1:
                        continue
                    if picture in unwanted:
                        left_out += 1
                        continue
                    if scale < 1:
                        size = (round(picture.width * scale), round(picture.height * scale))
                        picture = picture.resize(size, Image.Resampling.LANCZOS)
                    file.write(picture.tobytes())
                    sizes.append((picture.height, picture.width))
                    labels.append(label)
                    progress(len(sizes))
        if not sizes:
            raise InputError(f"no picture of at least {short_side} px in {sources}")
        header = path.with_suffix(".json.part")
        held = {"sizes": sizes, "labels": labels, "left_out": left_out}
        header.write_text(json.dumps(held))
        os.replace(header, path.with_suffix(".json"))
        return PictureCache(path)


def random_crops(
    cache: PictureCache,
    batch: int,
    size: int,
    scales: tuple[float, float],
    random: np.random.Generator,
) -> Tensor:
    """A batch of random square crops, flipped at random, all resampled by one random factor.

    Args:
        size: side of the result in pixels.
        scales: range of the factor; crops of size / factor pixels are taken, at most the whole
            short side.
    Returns:
        RGB [batch, 3, size, size] in [0, 1].
    """
    return labelled_crops(cache, batch, size, scales, random)[0]


def labelled_crops(
    cache: PictureCache,
    batch: int,
    size: int,
    scales: tuple[float, float],
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """What `random_crops` returns, and the classes of these pictures, int64 [batch]."""
    side = round(size / random.uniform(*scales))
    indices = random.integers(len(cache), size=batch)
    side = min(side, int(cache.sizes[indices].min()))
    crops = np.empty((batch, side, side, 3), np.uint8)
    for crop, index in zip(crops, indices, strict=True):
        picture = cache[index]
        top = random.integers(picture.shape[0] - side + 1)
        left = random.integers(picture.shape[1] - side + 1)
        piece = picture[top : top + side, left : left + side]
        crop[:] = piece[:, ::-1] if random.random() < 0.5 else piece
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    if side != size:
        images = functional.interpolate(
            images, (size, size), mode="bilinear", antialias=True, align_corners=False
        )
    return images, torch.from_numpy(cache.labels[indices])
