"""CIFAR-10 from its binary archive, its folder, and parquet files; never from pickles."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from bitbrush.errors import InputError
from bitbrush.train.cifar10 import CLASSES, RECORD, TEST_FILE, TRAINING_FILES, read_cifar10


def records(seed: int, count: int = 3) -> bytes:
    data = np.random.default_rng(seed).integers(0, 256, (count, RECORD), dtype=np.uint8)
    data[:, 0] = np.arange(count) + seed
    return data.tobytes()


FILES = {name: records(seed) for seed, name in enumerate((*TRAINING_FILES, TEST_FILE))}


def archive(path: Path, files: dict[str, bytes], folder: str = "cifar-10-batches-bin") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_the_binary_archive(tmp_path: Path) -> None:
    training, test = read_cifar10(archive(tmp_path / "cifar-10-binary.tar.gz", FILES))
    assert training.labels.tolist() == [0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6]
    assert test.labels.tolist() == [5, 6, 7] and test.classes == CLASSES
    # The second picture of the second file: planes one after the other.
    stored = np.frombuffer(FILES["data_batch_2.bin"], np.uint8).reshape(-1, RECORD)[1, 1:]
    assert np.array_equal(training.pixels[4], stored.reshape(3, 32, 32).transpose(1, 2, 0))


def test_the_folder_it_unpacks_to(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "batches.meta.txt").write_text("airplane\n")
    training, test = read_cifar10(tmp_path)
    assert len(training) == 15 and len(test) == 3


def written(path: Path, labels: list[int]) -> Path:
    pictures = []
    for label in labels:
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (20 * label, 0, 0)).save(file, "PNG")
        pictures.append(file.getvalue())
    table = pyarrow.table({"image": pictures, "label": pyarrow.array(labels, pyarrow.int8())})
    parquet.write_table(table, path)
    return path


def test_parquet_files(tmp_path: Path) -> None:
    training = written(tmp_path / "cifar10_train.parquet", [3, 1, 9])
    written(tmp_path / "cifar10_test.parquet", [2])
    for data in (training, tmp_path):
        read = read_cifar10(data)
        assert [each.labels.tolist() for each in read] == [[3, 1, 9], [2]]
        assert read[0].pixels[:, 5, 5, 0].tolist() == [60, 20, 180]
    assert len(read_cifar10(training, training)[1]) == 3


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_pickles_are_refused(tmp_path: Path, name: str) -> None:
    files = {name: b"cos\nsystem\n(S'false'\ntR."}
    path = archive(tmp_path / "cifar-10-python.tar.gz", files, "cifar-10-batches-py")
    with pytest.raises(InputError, match="Python version.*cifar-10-binary.tar.gz"):
        read_cifar10(path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_bytes(files[name])
    with pytest.raises(InputError, match="Python version"):
        read_cifar10(tmp_path / "folder")


def test_damaged_archives(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.tar.gz", FILES).read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.tar.gz").write_bytes(b"nothing")
    for name in ("half", "none"):
        with pytest.raises(InputError, match="damaged"):
            read_cifar10(tmp_path / f"{name}.tar.gz")
    cut = {**FILES, "data_batch_2.bin": FILES["data_batch_2.bin"][:-1]}
    with pytest.raises(InputError, match="data_batch_2.bin of .* no multiple of 3073"):
        read_cifar10(archive(tmp_path / "cut.tar.gz", cut))
    other = {**FILES, TEST_FILE: b"\x0a" + bytes(RECORD - 1)}
    with pytest.raises(InputError, match="the label 10"):
        read_cifar10(archive(tmp_path / "other.tar.gz", other))
    fewer = {name: data for name, data in FILES.items() if name != TEST_FILE}
    with pytest.raises(InputError, match="has no test_batch.bin"):
        read_cifar10(archive(tmp_path / "fewer.tar.gz", fewer))


def test_missing_and_mistaken_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no"):
        read_cifar10(tmp_path / "cifar.tar.gz")
    alone = written(tmp_path / "cifar10_train.parquet", [1])
    with pytest.raises(InputError, match="--test FILE"):
        read_cifar10(alone)
    with pytest.raises(InputError, match="one parquet file named train"):
        read_cifar10(tmp_path)
    with pytest.raises(InputError, match="leave out --test"):
        read_cifar10(archive(tmp_path / "cifar.tar.gz", FILES), alone)
    written(tmp_path / "cifar10_test.parquet", [10])
    with pytest.raises(InputError, match="the label 10, not 0 to 9"):
        read_cifar10(alone)
