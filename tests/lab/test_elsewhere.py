"""Files that travel with the work, and what killed processes leave of them."""

from __future__ import annotations

import os
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
    for remembered in (elsewhere._own_folder, elsewhere._placed):
        remembered.cache_clear()
    yield tmp_path
    for remembered in (elsewhere._placed, elsewhere._own_folder):
        remembered.cache_clear()


def test_lasting_files_are_written_once_and_passing_ones_go() -> None:
    there = Path("/far/away/photo.png")
    found: list[Path] = []

    def work(files: elsewhere.Files) -> bytes:
        found.extend(files[path] for path in (there, Path("/far/mask.png")))
        return files[there].read_bytes()

    for _ in range(2):
        passing = [(Path("/far/mask.png"), b"mask")]
        assert done_elsewhere(work, [there], passing, [], b"photo") == b"photo"
    photo, mask, again, _ = found
    assert photo == again and photo.name == "photo.png" and photo.is_file()
    assert not mask.exists()


def test_errors_name_files_as_their_owner_does() -> None:
    there = Path("/far/away/photo.png")

    def work(files: elsewhere.Files) -> None:
        raise InputError(f"{files[there]} is no picture")

    with pytest.raises(InputError, match=r"^/far/away/photo\.png is no picture$"):
        done_elsewhere(work, [there], [], [], b"text")


@pytest.mark.skipif(os.name != "posix", reason="asks for a process by its number as POSIX does")
def test_what_killed_processes_left_is_removed(own_folder: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [
        f"bitbrush-worker-{ended.pid}-left",
        f"bitbrush-worker-{os.getppid()}-at-work",
        "bitbrush-worker-mine-own",
        f"bitbrush-{ended.pid}-other",
    ]
    for name in names:
        (own_folder / name).mkdir()
    done_elsewhere(lambda files: None, [Path("/far/a")], [], [], b"a")
    there = {path.name for path in own_folder.iterdir()}
    assert there >= set(names[1:]) and names[0] not in there
    assert any(name.startswith(f"bitbrush-worker-{os.getpid()}-") for name in there)
