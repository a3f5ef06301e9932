"""Where compiled kernels are kept between runs.

What lies there is loaded as code. So it is used only if nobody but the user can write to it, and
files that are not as they were written are thrown away. Where there is no such folder, kernels are
compiled in every process; nothing else changes.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from llvmlite import binding

from ..atomic import write_atomically
from ..errors import InputError
from .machine_code import MachineCode
from .precision import cpu_features


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
            # Another process may just have given its file the name it is to have.
            with suppress(FileNotFoundError):
                _check_own(path)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"nothing can be written to {folder}")
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
    facts = (version("numba"), binding.llvm_version_info, binding.get_host_cpu_name(), features)
    digest.update(repr((*facts, sys.version_info[:2])).encode())
    for source in sorted(sources.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def kept(name: str) -> MachineCode | None:
    """The kernel of this name in the cache; None if it is not there, or not as it was written."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        return MachineCode.from_bytes(file_of(folder, name).read_bytes())
    except OSError:
        return None


def is_kept(name: str) -> bool:
    """Whether a kernel of this name lies in the cache."""
    return kept(name) is not None


def keep(name: str, code: MachineCode) -> None:
    """Keeps a kernel, where kernels are kept. Whoever keeps it at the same time does no harm."""
    folder = cache_folder()
    if folder is not None:
        with suppress(InputError):
            write_atomically(file_of(folder, name), code.to_bytes())


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
    if folder is not None:
        with suppress(InputError):
            write_atomically(folder / f"{name}.s", text.encode())


def file_of(folder: Path, name: str) -> Path:
    """Where a kernel of this name is kept, whether it is there or not."""
    return folder / f"{name}.kernel"
