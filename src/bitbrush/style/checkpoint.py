"""Checkpoints: the state of a painting in one file beside its output."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import InputError
from .state import State

FORMAT = "bitbrush-checkpoint-2"


@dataclass(frozen=True)
class Checkpoint:
    """A painting under way.

    Attributes:
        run: what it was begun with; see `Session.run`. Only the same may continue it.
        state: where it stands.
    """

    run: Mapping[str, Any]
    state: State


def checkpoint_path(output: Path) -> Path:
    """The checkpoint of a painting that will be written to `output`."""
    return output.with_name(output.name + ".checkpoint")


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the file, whole or not at all; an older one stays until then.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    state = checkpoint.state
    values = {
        "scale": state.scale,
        "done": state.done,
        "total": state.total,
        "losses": list(state.losses),
        "values": state.values,
    }
    metadata = {
        "format": FORMAT,
        "run": json.dumps(checkpoint.run),
        "state": json.dumps(values),
    }
    tensors = {name: tensor.cpu().contiguous() for name, tensor in state.tensors.items()}
    metadata["sha256"] = _digest(metadata, tensors)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
        os.close(handle)
        save_file(tensors, temporary, metadata)
        # What is renamed must be on the disk first, or a power cut leaves an empty file.
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot write the checkpoint {path.name}: {error}") from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint in that file, or None if there is no such file.

    Raises:
        InputError: the file is no checkpoint, or damaged.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError("another format")
            run, values = json.loads(metadata["run"]), json.loads(metadata["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["sha256"] != _digest(metadata, tensors):
            raise ValueError("another digest")
        state = State(
            scale=int(values["scale"]),
            done=int(values["done"]),
            total=int(values["total"]),
            losses=tuple(float(loss) for loss in values["losses"]),
            values=dict(values["values"]),
            tensors=tensors,
        )
        return Checkpoint(dict(run), state)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path.name} is no checkpoint of this version of bitbrush, or damaged; "
            "delete it to begin anew"
        ) from error


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 in hex of all that a checkpoint holds: one bit changed would change the picture."""
    digest = hashlib.sha256(f"{metadata['run']}{metadata['state']}".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
