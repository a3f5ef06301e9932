"""Doing a piece of work on another machine, with copies of the files that it needs."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..atomic import write_atomically
from ..errors import InputError

Files = Mapping[Path, Path]
"""Where files lie on this machine, by where they lie on the one that sent them."""

Work = Callable[[Files], Any]


def done_elsewhere(
    work: Work,
    lasting: Sequence[Path],
    passing: Sequence[tuple[Path, bytes]],
    weights: Sequence[tuple[str, str]],
    marks: Sequence[str],
    *contents: bytes,
) -> Any:
    """Does the work on whichever machine this runs.

    Args:
        work: given the files.
        lasting: files that stay on the machine for other work that needs them, by where they came
            from.
        passing: files that go with the work.
        weights: networks and the names of their files.
        marks: SHA-256 in hex of each of the contents.
        contents: of the lasting files, then of the weights.
    Returns:
        what the work returns.
    Raises:
        InputError: by the work; it names the files as the machine does that sent them. Or the
            lasting files cannot be written.
    """
    names = [*(path.name for path in lasting), *(name for _, name in weights)]
    placed = [_placed(*each) for each in zip(names, marks, contents, strict=True)]
    files = dict(zip(lasting, placed, strict=False))
    pairs = zip(weights, placed[len(lasting) :], strict=True)
    os.environ["BITBRUSH_WEIGHTS"] = ",".join(f"{network}={path}" for (network, _), path in pairs)
    with tempfile.TemporaryDirectory() as folder:
        for number, (path, content) in enumerate(passing):
            files[path] = Path(folder) / str(number) / path.name
            files[path].parent.mkdir()
            files[path].write_bytes(content)
        try:
            return work(files)
        except InputError as error:
            text = str(error)
            for path, here in files.items():
                text = text.replace(str(here), str(path))
            raise InputError(text) from error


FOLDERS = "bitbrush-node-"
"""What the names of folders for lasting files begin with; a process's number follows."""


def _placed(name: str, mark: str, content: bytes) -> Path:
    """The file on this machine, under its own name, which pictures tell of."""
    path = _shared_folder() / mark / name
    if not path.exists():
        write_atomically(path, content, parents=True)
    return path


@cache
def _shared_folder() -> Path:
    """Of all processes that the same one began, which on a cluster is the node's.

    It is removed by one of a later node, since none of them knows that it is the last.

    Raises:
        InputError: it is another user's, or open to others.
    """
    temporary = Path(tempfile.gettempdir())
    for left in temporary.glob(f"{FOLDERS}*"):
        process = left.name.removeprefix(FOLDERS)
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    folder = temporary / f"{FOLDERS}{os.getppid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if os.name == "posix" and not _is_own(folder):
        raise InputError(f"{folder} is not this user's alone; remove it")
    return folder


def _is_own(folder: Path) -> bool:
    """Whether nobody else can write there; a link could lead anywhere."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True
