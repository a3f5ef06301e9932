"""PyTorch's state dicts, from `.safetensors` and `.pth` files. No code in a file is ever run.

Only with torch 2.10 or later is a pickle opened: before, CVE-2025-32434 and CVE-2026-24747 let a
file run code even in torch's restricted unpickler.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError

SAFE_TORCH = (2, 10)
"""The first torch whose restricted unpickler has no published way to run code."""

ZIP = b"PK\x03\x04"
PICKLE = b"\x80"


def read_state_dict(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a state dict by name, on the CPU, in the types that the file holds.

    Args:
        path: a safetensors file, or one that torch saved a state dict to (`.pth`, `.pt`, `.bin`);
            which of the two is told by the first bytes. The latter is read by torch's restricted
            unpickler, which knows tensors and containers only.
    Raises:
        InputError: a file that cannot be read or is damaged, one that holds anything but named
            tensors, or a pickle where torch is older than 2.10.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"cannot read {path}: there is no such file")
    try:
        with path.open("rb") as file:
            head = file.read(9)
        # The length of a safetensors header may begin with the byte of pickles.
        if head.startswith((ZIP, PICKLE)) and head[8:] != b"{":
            return _unpickled(path, zipped=head.startswith(ZIP))
        return load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"cannot read {path}: {_one_line(error)}") from error


def _unpickled(path: Path, zipped: bool) -> dict[str, Tensor]:
    version = re.match(r"(\d+)\.(\d+)", torch.__version__)
    if version is None or (int(version[1]), int(version[2])) < SAFE_TORCH:
        raise InputError(
            f"{path} is not opened: this torch ({torch.__version__}) can be made to run code by "
            "such files; update torch to 2.10 or later, or convert the file to .safetensors"
        )
    try:
        if zipped:
            _check_stored(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    # Damage shows as almost any exception: zip, pickle, index, memory, unicode errors among them.
    except Exception as error:
        raise InputError(
            f"cannot read {path}: not a file of tensors alone, or damaged ({_one_line(error)})"
        ) from error
    if not isinstance(held, dict) or not all(
        isinstance(key, str) and _is_plain(value) for key, value in held.items()
    ):
        raise InputError(f"{path} is no state dict: it holds more than named tensors")
    return {key: value.detach() for key, value in held.items()}


def _check_stored(path: Path) -> None:
    """Refuses what would unpack to more than the file: torch saves its records as they are."""
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise InputError(f"cannot read {path}: it is compressed, as torch saves no file")
    if sum(record.file_size for record in records) > path.stat().st_size:
        raise InputError(f"cannot read {path}: it unpacks to more than its size")


def _is_plain(value: object) -> bool:
    """Whether it is a dense tensor with its numbers in memory."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _one_line(error: Exception) -> str:
    """The first line of the error's text, shortened."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:120]
