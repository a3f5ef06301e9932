"""Files and folders are made whole, or not at all and with a word why."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitbrush.atomic import make_folder, write_atomically
from bitbrush.errors import InputError


def test_a_folder_with_those_above_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    for path in (file, file / "below"):
        with pytest.raises(InputError, match=r"is a file, or below one; name a folder"):
            make_folder(path)
        with pytest.raises(InputError, match=r"is a file, or below one; name a folder"):
            write_atomically(path / "made", b"", parents=True)
    assert file.read_text() == "text"


def test_nothing_is_left_of_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_atomically(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
