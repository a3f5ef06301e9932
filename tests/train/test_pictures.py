"""What is read of folders and parquet files, and what a cache leaves out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bitbrush.errors import InputError
from bitbrush.train.pictures import PictureCache, encoded_pictures, labelled_pictures


def png(side: int = 200) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def test_hugging_faces_parquet_files(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"bytes": data, "path": None} for data in (b"one", b"two")]
    source = tmp_path / "set.parquet"
    parquet.write_table(pyarrow.table({"img": rows, "label": [3, None]}), source)
    assert list(labelled_pictures(source)) == [(b"one", "3"), (b"two", "")]
    source.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no parquet file"):
        list(encoded_pictures(source))


def test_a_cache_leaves_out_what_is_damaged(tmp_path: Path) -> None:
    data = png()
    second = data.index(b"IDAT", data.index(b"IDAT") + 4)
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "1.png").write_bytes(data[:second] + bytes(4) + data[second + 4 :])
    (folder / "2.png").write_bytes(data)
    assert len(PictureCache.build([folder], tmp_path / "cache.u8")) == 1


def test_a_cache_holds_greys_of_16_bits(tmp_path: Path) -> None:
    grey = np.full((128, 128), 30_000, np.uint16)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(grey).save(tmp_path / "pictures" / "1.png")
    cache = PictureCache.build([tmp_path / "pictures"], tmp_path / "cache.u8")
    assert np.unique(cache[0]).tolist() == [117]
