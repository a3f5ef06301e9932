"""Files that travel with the work, and what killed processes leave of them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.lab import elsewhere
from bitbrush.lab.elsewhere import done_elsewhere


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for whatever is temporary."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("BITBRUSH_WEIGHTS", "")
    elsewhere._shared_folder.cache_clear()
    yield tmp_path
    elsewhere._shared_folder.cache_clear()


def test_lasting_files_are_written_once_and_passing_ones_go() -> None:
    there = Path("/far/away/photo.png")
    found: list[Path] = []

    def work(files: elsewhere.Files) -> bytes:
        found.extend(files[path] for path in (there, Path("/far/mask.png")))
        return files[there].read_bytes()

    # Of what it has already only the mark counts.
    for content in (b"photo", b"not looked at"):
        passing = [(Path("/far/mask.png"), b"mask")]
        assert done_elsewhere(work, [there], passing, [], ["0123"], content) == b"photo"
        elsewhere._shared_folder.cache_clear()  # as another process of the node
    photo, mask, again, _ = found
    assert photo == again and photo.name == "photo.png" and photo.is_file()
    assert not mask.exists()
    assert done_elsewhere(work, [there], passing, [], ["4567"], b"other") == b"other"


@pytest.mark.skipif(os.name != "posix", reason="asks for a file's owner and mode")
def test_the_folder_is_of_one_user_alone(own_folder: Path) -> None:
    def place() -> None:
        elsewhere._shared_folder.cache_clear()
        done_elsewhere(lambda files: None, [Path("/far/a")], [], [], ["0123"], b"a")

    place()
    (folder,) = own_folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    with pytest.raises(InputError, match="not this user's alone; remove it"):
        place()
    folder.chmod(0o700)
    folder.rename(own_folder / "other")
    folder.symlink_to(own_folder / "other")
    with pytest.raises(InputError, match="not this user's alone"):
        place()


def test_errors_name_files_as_their_owner_does() -> None:
    there = Path("/far/away/photo.png")

    def work(files: elsewhere.Files) -> None:
        raise InputError(f"{files[there]} is no picture")

    with pytest.raises(InputError, match=r"^/far/away/photo\.png is no picture$"):
        done_elsewhere(work, [there], [], [], ["0123"], b"text")


@pytest.mark.skipif(os.name != "posix", reason="asks for a process by its number as POSIX does")
def test_what_killed_processes_left_is_removed(own_folder: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [
        f"bitbrush-node-{ended.pid}",
        f"bitbrush-node-{os.getpid()}",
        "bitbrush-node-mine",
        f"bitbrush-{ended.pid}",
    ]
    for name in names:
        (own_folder / name).mkdir()
    done_elsewhere(lambda files: None, [Path("/far/a")], [], [], ["0123"], b"a")
    there = {path.name for path in own_folder.iterdir()}
    assert there == {*names[1:], f"bitbrush-node-{os.getppid()}"}
