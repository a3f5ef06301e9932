"""Labelled pictures from parquet files and folders."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from bitbrush.errors import InputError
from bitbrush.train.labelled import Labelled, Row, decoded, first_side, held_out, rows_of


def png(shade: int, size: tuple[int, int] = (12, 12)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(file, "PNG")
    return file.getvalue()


def written(path: Path, **columns: list[Any]) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def read(source: Path, size: int = 12) -> dict[str, Labelled]:
    return decoded(rows_of(source), source, size)


def test_a_parquet_file_with_splits(tmp_path: Path) -> None:
    source = written(
        tmp_path / "set.parquet",
        image=[png(10), png(20), png(30)],
        label=["b", "a", "b"],
        split=["train", "validation", "train"],
    )
    found = read(source)
    assert found.keys() == {"train", "val"}
    assert found["train"].labels.tolist() == [1, 1] and found["val"].labels.tolist() == [0]
    assert found["train"].classes == found["val"].classes == ("a", "b")
    assert found["train"].pixels[:, 0, 0, 0].tolist() == [10, 30]
    assert found["train"].size == 12


def test_a_structure_of_bytes_and_numbered_labels(tmp_path: Path) -> None:
    rows = [{"bytes": png(shade), "path": None} for shade in (1, 2)]
    found = read(written(tmp_path / "set.parquet", img=rows, label=[10, 9]))[""]
    assert found.classes == ("9", "10") and found.labels.tolist() == [1, 0]


def test_numbered_labels_have_names_where_these_are_told() -> None:
    rows = [Row(png(0), label) for label in (2, 0, 7)]
    found = decoded(iter(rows), Path("set"), 12, names=["cat", "dog", "fox"])[""]
    assert found.classes == ("cat", "fox", "7") and found.labels.tolist() == [1, 0, 2]


def test_pictures_become_squares_of_one_size(tmp_path: Path) -> None:
    wide = Image.new("RGB", (40, 20))
    wide.paste((255, 255, 255), (10, 0, 30, 20))
    file = io.BytesIO()
    wide.save(file, "PNG")
    source = written(tmp_path / "set.parquet", image=[png(0), file.getvalue()], label=[0, 1])
    found = read(source)[""]
    assert found.pixels.shape == (2, 12, 12, 3)
    assert found.pixels[1].min() > 240  # the black ends are cut off
    assert read(source, 8)[""].size == 8


def test_the_first_ones_short_side() -> None:
    rows = [Row(png(1, (20, 9)), "one"), Row(png(2, (4, 4)), "one")]
    assert first_side(iter(rows), Path("set")) == 9
    with pytest.raises(InputError, match="no pictures in set"):
        first_side(iter([]), Path("set"))
    with pytest.raises(InputError, match="picture 1 of set cannot be decoded"):
        first_side(iter([Row(b"nothing", "one"), *rows]), Path("set"))


def test_no_picture_is_in_memory_twice() -> None:
    data, count, side = png(3, (64, 64)), 200, 64
    decoded(iter([Row(data, "one")]), Path("set"), side)  # what is imported counts for nothing
    tracemalloc.start()
    found = decoded((Row(data, "one") for _ in range(count)), Path("set"), side)[""]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.pixels.shape == (count, side, side, 3)
    assert peak < 1.5 * found.pixels.nbytes


def test_pictures_are_turned_as_they_are_meant_to_be_seen() -> None:
    image = Image.new("RGB", (8, 8))
    image.paste((255, 255, 255), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    pixels = decoded(iter([Row(file.getvalue(), "one")]), Path("set"), 8)[""].pixels
    assert pixels[0, :4].max() == 0 and pixels[0, 4:].min() == 255


def test_a_folder_of_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(1))
    assert read(tmp_path)[""].classes == ("cat", "dog")


@pytest.mark.parametrize("split", ["", "train"])
def test_what_is_hidden_is_no_class(tmp_path: Path, split: str) -> None:
    for name in ("cat", "dog", ".thumbnails"):
        (tmp_path / split / name).mkdir(parents=True)
        (tmp_path / split / name / "1.png").write_bytes(png(1))
    assert read(tmp_path)[split].classes == ("cat", "dog")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("car", "train"):
        (tmp_path / name / ".thumbnails").mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(png(1))
    assert read(tmp_path)[""].classes == ("car", "train")


def test_a_file_that_cannot_be_decoded_is_named_or_left_out(tmp_path: Path) -> None:
    for name, data in (("a/1", b"nothing"), ("a/2", png(1)), ("b/1", png(2)), ("b/2", png(3)[:50])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.png").write_bytes(data)
    with pytest.raises(InputError, match=r"a.1\.png cannot be decoded"):
        read(tmp_path)
    assert first_side(rows_of(tmp_path), tmp_path) == 12
    left_out: list[Path] = []
    found = decoded(rows_of(tmp_path), tmp_path, 12, left_out=left_out)[""]
    assert left_out == [tmp_path / "a/1.png", tmp_path / "b/2.png"]
    assert found.labels.tolist() == [0, 1] and found.pixels[:, 0, 0, 0].tolist() == [1, 2]


def test_a_row_that_cannot_be_decoded_is_never_left_out(tmp_path: Path) -> None:
    source = written(tmp_path / "set.parquet", image=[png(1), b"nothing"], label=[0, 1])
    with pytest.raises(InputError, match="picture 2 of .*set.parquet cannot be decoded"):
        decoded(rows_of(source), source, 12, left_out=[])


def test_a_folder_with_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split / "cat").mkdir(parents=True)
        (tmp_path / split / "cat" / "1.png").write_bytes(png(1))
    assert read(tmp_path).keys() == {"train", "val"}


def test_held_out_pictures_are_others(tmp_path: Path) -> None:
    pixels = np.arange(20, dtype=np.uint8).repeat(12).reshape(20, 2, 2, 3)
    whole = Labelled(pixels, np.arange(20), tuple("abcdefghijklmnopqrst"))
    kept, aside = held_out(whole, 5, seed=3)
    assert len(kept) == 15 and len(aside) == 5
    assert set(kept.labels) | set(aside.labels) == set(range(20))
    assert aside.pixels[:, 0, 0, 0].tolist() == aside.labels.tolist()
    assert not np.array_equal(held_out(whole, 5, seed=4)[1].labels, aside.labels)
    with pytest.raises(InputError, match="held out"):
        held_out(whole, 20, seed=3)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"picture": [b""], "label": [0]}, "needs columns image and label, has picture, label"),
        ({"image": [b"nothing"], "label": [0]}, "picture 1 of .* cannot be decoded"),
        ({"image": ["text"], "label": [0]}, "needs the bytes"),
        ({"image": [png(1)], "label": [1.5]}, "needs numbers or names as label"),
    ],
)
def test_bad_columns(tmp_path: Path, columns: dict[str, list[Any]], text: str) -> None:
    with pytest.raises(InputError, match=text):
        read(written(tmp_path / "set.parquet", **columns))


def test_what_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "set.parquet").write_bytes(b"nothing")
    (tmp_path / "set.txt").write_text("nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no parquet file, or damaged"):
        read(tmp_path / "set.parquet")
    with pytest.raises(InputError, match="neither a folder"):
        read(tmp_path / "set.txt")
    with pytest.raises(InputError, match="there is no"):
        read(tmp_path / "other")
    with pytest.raises(InputError, match="no folders of pictures"):
        read(tmp_path / "empty")


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "set.parquet", image=[png(1)], label=[0])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'bitbrush\[train\]'"):
        read(source)
