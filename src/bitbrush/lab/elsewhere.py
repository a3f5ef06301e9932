"""Doing a piece of work on another machine, with copies of the files that it needs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import InputError

Files = Mapping[Path, Path]
"""Where files lie on this machine, by where they lie on the one that sent them."""

Work = Callable[[Files], Any]


def done_elsewhere(
    work: Work,
    lasting: Sequence[Path],
    passing: Sequence[tuple[Path, bytes]],
    weights: Sequence[tuple[str, str]],
    *contents: bytes,
) -> Any:
    """Does the work on whichever machine this runs.

    Args:
        work: given the files.
        lasting: files that stay here for other work that needs them, by where they came from.
        passing: files that go with the work.
        weights: networks and the names of their files.
        contents: of the lasting files, then of the weights.
    Returns:
        what the work returns.
    Raises:
        InputError: by the work; it names the files as the machine does that sent them.
    """
    files = {
        path: _placed(path.name, content) for path, content in zip(lasting, contents, strict=False)
    }
    pairs = zip(weights, contents[len(lasting) :], strict=True)
    os.environ["BITBRUSH_WEIGHTS"] = ",".join(
        f"{network}={_placed(name, content)}" for (network, name), content in pairs
    )
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


FOLDERS = "bitbrush-worker-"
"""What the names of folders for lasting files begin with; the process's number follows."""


@cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Goes with the process, or with one after it, where it was killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDERS}*-*"):
        process = left.name.removeprefix(FOLDERS).partition("-")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{FOLDERS}{os.getpid()}-")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True


@cache
def _placed(name: str, content: bytes) -> Path:
    """The file on this machine, under its own name, which pictures tell of."""
    folder = Path(tempfile.mkdtemp(dir=_own_folder().name))
    path = folder / name
    path.write_bytes(content)
    return path
