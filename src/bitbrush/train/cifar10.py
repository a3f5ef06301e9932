"""CIFAR-10: parquet files, or the binary version of the original archive."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ..errors import InputError
from .labelled import Labelled, decoded, rows_of

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SIZE = 32
TRAINING_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILE = "test_batch.bin"
RECORD = 1 + 3 * SIZE * SIZE
"""Bytes of a picture in the binary version: its class, then the planes R, G and B."""

LARGEST = 100_000 * RECORD
"""Bytes of a file of the binary version that are read."""


def read_cifar10(
    data: Path, test: Path | None = None, progress: Callable[[int], None] = lambda count: None
) -> tuple[Labelled, Labelled]:
    """The training and the test pictures.

    Args:
        data: cifar-10-binary.tar.gz; the folder it unpacks to; the training parquet file; or a
            folder with one parquet file whose name has "train" in it and one with "test".
        test: the test parquet file, where its name is not the training file's with "test" in it.
        progress: called with the number of pictures read of a parquet file.
    Raises:
        InputError: something else, the Python version (pickles), or damaged files.
    """
    if not data.exists():
        raise InputError(f"there is no {data}")
    if data.suffix == ".parquet" or (data.is_dir() and any(data.glob("*.parquet"))):
        training, test = _parquet_files(data, test)
        return _parquet(training, progress), _parquet(test, progress)
    if test is not None:
        raise InputError(f"{data} holds test pictures of its own; leave out --test")
    files = dict(_folder_files(data) if data.is_dir() else _archive_files(data))
    missing = [name for name in (*TRAINING_FILES, TEST_FILE) if name not in files]
    if missing:
        raise InputError(f"{data} has no {missing[0]}; it is not CIFAR-10's binary version")
    training_parts = [_records(files[name], f"{name} of {data}") for name in TRAINING_FILES]
    return _joined(training_parts), _records(files[TEST_FILE], f"{TEST_FILE} of {data}")


def _parquet_files(data: Path, test: Path | None) -> tuple[Path, Path]:
    if data.is_dir():
        files = sorted(data.glob("*.parquet"))
        pairs = [[f for f in files if f.name.count(part)] for part in ("train", "test")]
        if any(len(each) != 1 for each in pairs):
            raise InputError(f"{data} needs one parquet file named train and one named test")
        return pairs[0][0], test or pairs[1][0]
    if test is None:
        test = data.with_name(data.name.replace("train", "test"))
        if test == data or not test.exists():
            raise InputError(f"where are the test pictures of {data}? Name them with --test FILE")
    return data, test


def _parquet(source: Path, progress: Callable[[int], None]) -> Labelled:
    splits = decoded(rows_of(source), source, SIZE, CLASSES, progress)
    if len(splits) > 1:
        raise InputError(f"{source} holds several splits; CIFAR-10 has a file for each")
    return next(iter(splits.values()))


def _folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    _refuse_pickles((file.name for file in folder.iterdir()), folder)
    for file in folder.glob("*.bin"):
        with file.open("rb") as stream:
            yield file.name, stream.read(LARGEST + 1)


def _archive_files(path: Path) -> Iterator[tuple[str, bytes]]:
    # Members are read, never unpacked: their paths are not to be trusted.
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                _refuse_pickles([name], path)
                if name.endswith(".bin") and (stream := archive.extractfile(member)) is not None:
                    yield name, stream.read(LARGEST + 1)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} is no archive of CIFAR-10, or damaged") from error


def _refuse_pickles(names: Iterable[str], where: Path) -> None:
    if any(name in ("data_batch_1", "test_batch", "batches.meta") for name in names):
        raise InputError(
            f"{where} is CIFAR-10's Python version, whose pickles could run any code; "
            "take the binary version, cifar-10-binary.tar.gz"
        )


def _records(data: bytes, where: str) -> Labelled:
    if not data or len(data) % RECORD or len(data) > LARGEST:
        raise InputError(f"{where} has {len(data)} bytes, no multiple of {RECORD}; it is damaged")
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASSES):
        raise InputError(f"{where} has the label {labels.max()}, not 0 to 9; it is damaged")
    planes = records[:, 1:].reshape(-1, 3, SIZE, SIZE)
    return Labelled(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels, CLASSES)


def _joined(parts: list[Labelled]) -> Labelled:
    pixels = np.concatenate([part.pixels for part in parts])
    return Labelled(pixels, np.concatenate([part.labels for part in parts]), CLASSES)
