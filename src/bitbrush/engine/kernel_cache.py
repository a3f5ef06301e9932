"""Where compiled kernels are kept between runs.

What lies there is loaded as code. So it is used only if nobody but the user can write to it, and
files that are not as they were written are thrown away. Where there is no such folder, kernels are
compiled in every process; nothing else changes.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
from filelock import FileLock, Timeout
from llvmlite import binding

from .precision import cpu_features

WAIT = 60.0
"""Seconds to wait for another process that loads or keeps kernels."""

MAKING = "-making-"
"""In the names of folders beside the cache's own, each for what one process is compiling."""

FORGOTTEN = 3600.0
"""Seconds after which such a folder is one that a killed process left."""

CONTENTS = "contents.json"
"""The file that holds the hash of every other one."""


@cache
def cache_folder() -> Path | None:
    """The folder for this CPU and these sources, or None: nothing is kept."""
    folder = _prepared()
    return folder if isinstance(folder, Path) else None


@cache
def why_no_cache() -> str | None:
    """Why nothing is kept, for people to read; None where it is."""
    folder = _prepared()
    return folder if isinstance(folder, str) else None


def _prepared() -> Path | str:
    """The folder, made if it was not there, or why there is none."""
    # Only here, because it brings the weights' importers along.
    from ..weights.cache import cache_folder as everything

    try:
        root = everything()
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve()
        for above in (root, *root.parents):
            _check_above(above)
        kernels = root / "kernels"
        folder = kernels / identity()
        for own in (kernels, folder):
            own.mkdir(mode=0o700, exist_ok=True)
            _check_own(own)
            if os.name == "posix" and own.stat().st_mode & 0o022:
                raise PermissionError(f"others may write to {own}")
        for path in folder.rglob("*"):
            _check_own(path)
        with open(folder / "lock", "a"):
            pass
    except OSError as error:
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return folder


def _check_above(folder: Path) -> None:
    """Raises PermissionError if somebody else can put another folder in place of one in here."""
    if not hasattr(os, "getuid"):
        return
    facts = folder.stat()
    if facts.st_uid not in (0, os.getuid()):
        raise PermissionError(f"{folder} is another user's")
    # Many systems give every user a group of their own, whose number is theirs.
    others = 0o002 if facts.st_gid == facts.st_uid else 0o022
    if facts.st_mode & others and not facts.st_mode & stat.S_ISVTX:
        raise PermissionError(f"others may write to {folder}")


def _check_own(path: Path) -> None:
    """Raises PermissionError if what lies there may be somebody else's."""
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        raise PermissionError(f"{path} is a link")
    if hasattr(os, "getuid") and facts.st_uid != os.getuid():
        raise PermissionError(f"{path} is another user's")


def identity(sources: Path = Path(__file__).parent) -> str:
    """A name for everything that compiled kernels depend on: CPU, compiler, sources."""
    digest = hashlib.sha256()
    features = sorted(cpu_features())
    facts = (numba.__version__, binding.llvm_version_info, binding.get_host_cpu_name(), features)
    digest.update(repr((*facts, sys.version_info[:2])).encode())
    for source in sorted(sources.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def compiled(make: Any, name: str) -> Any:
    """What Numba makes of a function, from the cache or for it.

    Args:
        make: make(cache) compiles, and keeps what it made where `cache` is true.
        name: of the function.
    """
    folder = cache_folder()
    if folder is not None:
        try:
            lock = FileLock(folder / "lock", timeout=WAIT)
            with lock, _numba_caches_in(folder):
                _drop_damaged(folder)
                if is_kept(name):
                    made = make(True)
                    if not made.cache_hits:
                        _note_contents(folder)
                    return made
            return _compiled_into(folder, lock, make)
        except (OSError, Timeout):
            pass
        except Exception:
            # Whatever a damaged file leads to. If it was the compiler, it will say so again.
            pass
    return make(False)


def _compiled_into(folder: Path, lock: FileLock, make: Any) -> Any:
    """Compiles without keeping others from it, and moves the files in when they are whole."""
    prefix = f"{folder.name}{MAKING}{os.getpid()}-"
    with TemporaryDirectory(prefix=prefix, dir=folder.parent) as name:
        own = Path(name)
        with _numba_caches_in(own), _uncollected():
            made = make(True)
        with lock:
            for path in _files(own).values():
                target = folder / path.relative_to(own)
                target.parent.mkdir(mode=0o700, exist_ok=True)
                path.replace(target)
            _note_contents(folder)
    return made


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles, a tenth of a compiler's time that finds next to nothing."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def is_kept(name: str) -> bool:
    """Whether a kernel of this name lies in the cache."""
    folder = cache_folder()
    return folder is not None and any(
        path.name.partition("-")[0].endswith(f".{name}") for path in folder.rglob("*.nbc")
    )


def kept_text(name: str) -> str | None:
    """The instructions of a kernel of this name, if `keep_text` was given them."""
    folder = cache_folder()
    try:
        return None if folder is None else (folder / f"{name}.s").read_text()
    except OSError:
        return None


def keep_text(name: str, text: str) -> None:
    """Keeps what a kernel was compiled to, for people to read, where kernels are kept."""
    folder = cache_folder()
    if folder is None:
        return
    with suppress(OSError):
        written = folder / f"{name}.s.{uuid.uuid4().hex[:8]}"
        written.write_text(text)
        written.replace(folder / f"{name}.s")


@contextmanager
def _numba_caches_in(folder: Path) -> Iterator[None]:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def _files(folder: Path) -> dict[str, Path]:
    return {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*.nb[ci]"))
        if path.is_file()
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _drop_damaged(folder: Path) -> None:
    """Removes files that are not as they were written, and what killed processes left."""
    try:
        noted = dict(json.loads((folder / CONTENTS).read_text()))
    except (OSError, ValueError, TypeError):
        noted = {}
    for name, path in _files(folder).items():
        if noted.get(name) != _hash(path):
            path.unlink()
    for left in folder.parent.glob(f"*{MAKING}*"):
        if time.time() - left.lstat().st_mtime > FORGOTTEN:
            shutil.rmtree(left, ignore_errors=True)


def clear_after(process: int) -> None:
    """Removes what a killed process of that number was compiling."""
    folder = cache_folder()
    for left in [] if folder is None else folder.parent.glob(f"*{MAKING}{process}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _note_contents(folder: Path) -> None:
    hashes = {name: _hash(path) for name, path in _files(folder).items()}
    written = folder / f"{CONTENTS}.{uuid.uuid4().hex[:8]}"
    written.write_text(json.dumps(hashes))
    written.replace(folder / CONTENTS)
