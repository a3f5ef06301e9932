"""PyTorch's state dicts, from `.safetensors` and `.pth` files. No code in a file is ever run."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError

SUFFIXES = (".safetensors", ".pth", ".pt")


def read_state_dict(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a state dict by name, on the CPU, in the types that the file holds.

    Args:
        path: a `.safetensors` file, or a `.pth` or `.pt` file that torch saved a state dict to;
            which of the two is told by the name. The latter is read by torch's restricted
            unpickler, which knows tensors and containers only.
    Raises:
        InputError: another suffix, a file that cannot be read or is damaged, one that holds
            anything but named tensors.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path} is no state dict: its name must end in " + ", ".join(SUFFIXES))
    if not path.is_file():
        raise InputError(f"cannot read {path}: there is no such file")
    if suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise InputError(f"cannot read {path}: {_one_line(error)}") from error
    return _unpickled(path)


def _unpickled(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=True)
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
