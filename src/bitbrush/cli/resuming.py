"""What `paint --resume` finds: a finished picture, a checkpoint, or nothing."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from ..style.paint import Session
    from ..style.state import State


def finished(session: Session, output: Path) -> Mapping[str, Any] | None:
    """The metadata of the output if it is this painting, finished.

    Raises:
        InputError: it is another one, finished.
    """
    from ..images import read_metadata
    from ..style.checkpoint import checkpoint_path
    from ..style.paint import run_hash

    if checkpoint_path(output).exists() or not output.exists():
        return None
    try:
        metadata = read_metadata(output)
    except InputError:
        return None
    if not metadata.get("steps") or metadata.get("steps_done") != metadata["steps"]:
        return None
    if metadata.get("run") != run_hash(session.run()):
        raise InputError(
            f"{output} was painted with other settings, pictures or versions; choose another name"
        )
    return metadata


def resumed(session: Session, output: Path) -> State | None:
    """The state to continue from, or None where there is none. Sets the session's threads.

    Raises:
        InputError: the checkpoint belongs to other settings, pictures, threads or versions.
    """
    from ..style.checkpoint import checkpoint_path, load_checkpoint

    path = checkpoint_path(output)
    checkpoint = load_checkpoint(path)
    if checkpoint is None:
        return None
    if session.settings.threads is None:
        session.threads = int(checkpoint.run["threads"])
    ours, theirs = _flat(session.run()), _flat(checkpoint.run)
    different = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
    if different:
        changes = ", ".join(f"{k} {theirs.get(k)} -> {ours.get(k)}" for k in different[:4])
        raise InputError(
            f"{path.name} was made with something else ({changes}); repeat that, or delete it"
        )
    return checkpoint.state


def check_unfinished(session: Session, output: Path) -> str | None:
    """Keeps a painting that was begun from being begun anew by who forgot --resume.

    Returns:
        a remark, where the checkpoint of another painting is going to be replaced.
    Raises:
        InputError: the checkpoint is of this one.
    """
    from ..style.checkpoint import checkpoint_path, load_checkpoint
    from ..style.paint import run_hash

    path = checkpoint_path(output)
    try:
        checkpoint = load_checkpoint(path)
    except InputError:
        return None  # there is nothing to go on from
    if checkpoint is None:
        return None
    if run_hash(checkpoint.run) == run_hash(session.run()):
        raise InputError(
            f"{output} was begun and interrupted; continue it with --resume, or delete "
            f"{path.name} to begin anew"
        )
    return f"{path.name}, of another painting that was interrupted, is replaced"


def clean_up(output: Path) -> None:
    """Removes a painting's checkpoint, and the parts of files that a kill cut off."""
    from ..style.checkpoint import checkpoint_path

    checkpoint = checkpoint_path(output)
    picture = Path(os.path.realpath(output))
    parts = [
        *checkpoint.parent.glob(f"{glob.escape(checkpoint.name)}????????.part"),
        *picture.parent.glob(f".{glob.escape(picture.name[:200])}.????????.part"),
    ]
    for path in (checkpoint, *parts):
        path.unlink(missing_ok=True)


def _flat(run: Mapping[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in run.items() if k != "settings"}, **run["settings"]}
