"""Pictures on the disk: rows of parquet files, and whatever kinds of picture files there are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bitbrush.errors import InputError
from bitbrush.images import read_image
from bitbrush.images.colour_profile import srgb_profile
from bitbrush.train.reading import decoded_picture, label_names, parquet_rows, picture_files

RANDOM = np.random.default_rng(0)


def noise(height: int = 6, width: int = 9, channels: int = 3) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (height, width, channels), np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x0131] = "a program"
    return encoded(noise(), "JPEG", exif=exif)


def swapped_profile() -> bytes:
    """sRGB's profile with red for blue, by another name."""
    profile = srgb_profile().replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    for old, new in ((b"rXYZ", b"----"), (b"bXYZ", b"rXYZ"), (b"----", b"bXYZ")):
        profile = profile.replace(old, new)
    return profile


KINDS = {
    "colour": encoded(noise()),
    "grey": encoded(noise().convert("L")),
    "16-bit grey": encoded(Image.fromarray(RANDOM.integers(0, 65536, (6, 9), np.uint16))),
    "palette": encoded(noise().convert("P")),
    "alpha": encoded(noise(channels=4)),
    "CMYK": encoded(noise(channels=4).convert("CMYK"), "TIFF"),
    "another profile": encoded(noise(), icc_profile=swapped_profile()),
    **{f"orientation {number}": turned(number) for number in range(1, 9)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_those_that_are_painted(kind: str, tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(KINDS[kind])
    painted = read_image(tmp_path / "picture").rgb[0].permute(1, 2, 0) * 255
    found = decoded_picture(KINDS[kind], "picture")
    assert found.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found), painted.round().byte().numpy())


def test_pictures_are_turned_by_exif_that_cannot_be_written_anew() -> None:
    whole = turned(6)
    # The program's name in the place of the picture's width.
    odd = whole.replace(b"\x01\x31\x00\x02", b"\x01\x00\x00\x02")
    assert odd != whole
    assert decoded_picture(odd, "picture").size == (6, 9)


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    # As hidden folders around the one that is asked for do not make all of it hidden.
    top = tmp_path / ".photos"
    for name in ("b.JPG", "in/a.png", "._b.JPG", ".thumbnails/a.png", "in/.a.png", "text.txt"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"")
    assert picture_files(top) == [top / "b.JPG", top / "in/a.png"]


def broken_png() -> bytes:
    """One of two chunks of pixels, the second of which has no name."""
    data = encoded(noise(200, 200))
    second = data.index(b"IDAT", data.index(b"IDAT") + 4)
    return data[:second] + bytes(4) + data[second + 4 :]


@pytest.mark.parametrize("data", [b"", b"nothing", KINDS["colour"][:60], broken_png()])
def test_what_cannot_be_decoded(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^picture 3 of a/set.parquet cannot be decoded$"):
        decoded_picture(data, "picture 3 of a/set.parquet")


def rows(path: Path, needed: tuple[str, ...] = (), **columns: list[Any]) -> list[dict[str, Any]]:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path / "set.parquet")
    return list(parquet_rows(path / "set.parquet", *needed))


@pytest.mark.parametrize("name", ["image", "img"])
def test_bytes_may_lie_in_structures(name: str, tmp_path: Path) -> None:
    structures = [{"bytes": data, "path": None} for data in (b"one", b"two")]
    for column in (structures, [b"one", b"two"]):
        found = rows(tmp_path, (), **{name: column, "label": [7, None], "more": ["a", "b"]})
        assert [row["image"] for row in found] == [b"one", b"two"]
        assert [row["label"] for row in found] == [7, None] and "more" not in found[0]


def test_columns_that_are_missing_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a column image, has picture"):
        rows(tmp_path, picture=[b"one"])
    with pytest.raises(InputError, match="needs columns image and label, has image"):
        rows(tmp_path, ("label",), image=[b"one"])
    for value in ("text", None, {"bytes": None, "path": "one.png"}):
        with pytest.raises(InputError, match="needs the bytes of pictures"):
            rows(tmp_path, image=[value])


@pytest.mark.parametrize(
    ("noted", "names"),
    [
        ({"info": {"features": {"label": {"names": ["cat", "dog"]}}}}, ["cat", "dog"]),
        ({"info": {"features": {"label": {"dtype": "int64"}}}}, []),
        ({"info": {"features": {"label": {"names": "cat"}}}}, []),
        ([], []),
        (None, []),
    ],
)
def test_names_of_labels(noted: Any, names: list[str], tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"image": [b"one"], "label": [1]})
    if noted is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(noted)})
    parquet.write_table(table, tmp_path / "set.parquet")
    assert label_names(tmp_path / "set.parquet") == names
    assert label_names(tmp_path) == []


def test_what_is_no_parquet_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "set.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no parquet file, or damaged"):
        list(parquet_rows(tmp_path / "set.parquet"))
