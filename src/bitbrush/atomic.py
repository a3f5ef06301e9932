"""Making folders, and writing files so that a failure leaves nothing behind."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from .errors import InputError


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, where they are missing.

    Raises:
        InputError: something else has that name, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{path} is a file, or below one; name a folder") from None
    except OSError as error:
        raise InputError(f"cannot make the folder {path}: {error.strerror or error}") from error


def write_atomically(path: Path, data: bytes, parents: bool = False) -> None:
    """Writes a whole file or none: into a new file beside it, which then takes its name.

    Args:
        parents: make the folder where it is missing.
    Raises:
        InputError: the folder is missing or not writable, or the disk is full. What was at the
            path is then still there, and nothing else.
    """
    # Through a link, so that the link stays one.
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    if parents:
        make_folder(target.parent)
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error
        raise
