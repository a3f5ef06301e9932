"""Reads a network's weights from whatever file holds them, ours or another project's."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import InputError
from ..networks.heads import set_classes
from ..networks.registry import network_spec
from ..networks.taps import Network, check_state
from .bits import FORMAT, check_shapes, load_into, read_network_file
from .catalogue import published
from .download import file_sha256

FileFormat = Literal["bitbrush", "keras_h5", "mxnet_params", "state_dict"]
Pooling = Literal["max", "average"]

_MAX_HEADER = 10**8
_MOST_DIGITS = 9
_SEED = 20260


def import_weights(
    path: Path | str, name: str, pooling: Pooling | None = None
) -> tuple[Network, dict[str, str]]:
    """A network with the weights of a file, and where they come from.

    Args:
        path: a file of our own, or of any format that the network can be imported from; which it
            is shows in its first bytes.
        name: of the network.
        pooling: as for `NetworkSpec.build`.
    Returns:
        the settled network on the CPU, and metadata for `save_network`: of our own file what it
        holds, of another source (address or file name), source-sha256, and licence where the file
        is a published one.
    Raises:
        InputError: no such network or file, a damaged file, or one of another network.
    """
    path = Path(path).expanduser()
    spec = network_spec(name)
    file_format = sniff(path)
    if file_format == "bitbrush":
        arrays, metadata = read_network_file(path)
        if metadata.get("network") != name:
            raise InputError(f"{path} holds {metadata.get('network')}, not {name}")
        # Trained on other pictures than ImageNet's, if it names them.
        classes = _classes(path, arrays, metadata, name)
        network = build(name, pooling)
        if classes is not None:
            set_classes(network, classes)
        # Settled first: the file holds quantized kernels, which are then used to the last bit.
        network.settle()
        load_into(network, arrays)
        return network, metadata
    converter = spec.converter(file_format)
    raw = _reader(file_format)(path)
    network = build(name, pooling)
    state: dict[str, Tensor] = converter(raw, network)
    check_state(state, network)
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: {key} holds values that are no finite numbers")
    # Only batch norm's counters may be missing, which check_state saw to.
    network.load_state_dict(state, strict=False)
    return network.settle(), _origin(path, name)


def sniff(path: Path) -> FileFormat:
    """The format of a weight file, by its first bytes.

    Raises:
        InputError: no such file, or none of the known formats.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if head.startswith(b"\x89HDF\r\n\x1a\n"):
                return "keras_h5"
            if len(head) == 8:
                # Before pickles, which begin with the byte 0x80: a header's length may do so too.
                (number,) = struct.unpack("<Q", head)
                if number == 0x112 and file.read(8) == bytes(8):
                    return "mxnet_params"
                file.seek(8)
                if number <= min(_MAX_HEADER, path.stat().st_size) and file.read(1) == b"{":
                    return "bitbrush" if _is_ours(b"{" + file.read(number - 1)) else "state_dict"
            if head.startswith((b"PK\x03\x04", b"\x80")):
                return "state_dict"
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    raise InputError(
        f"{path} is no weight file, or damaged; known are bitbrush's own .safetensors, Keras' .h5, "
        "MXNet's .params and PyTorch's .pth and .safetensors"
    )


def build(name: str, pooling: Pooling | None = None) -> Network:
    """A network with random weights that are the same each time.

    The global random numbers are left as they were.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return network_spec(name).build(pooling)


def _classes(
    path: Path, arrays: Mapping[str, Tensor], metadata: Mapping[str, str], name: str
) -> int | None:
    """How many classes a file of ours says it tells apart; None if it says nothing.

    Believed only once its arrays are seen to have the shapes of such a network: memory for a
    classifier of any size would be reserved else.
    """
    text = metadata.get("classes", "")
    if not text.isdecimal():
        return None
    if len(text) > _MOST_DIGITS:
        raise InputError(f"{path} is damaged: it says it has {text[:_MOST_DIGITS]}… classes")
    with torch.device("meta"):
        network = build(name)
        set_classes(network, int(text))
    check_shapes(network, arrays)
    return int(text)


def _is_ours(header: bytes) -> bool:
    try:
        return bool(json.loads(header)["__metadata__"]["format"] == FORMAT)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _reader(file_format: FileFormat) -> Callable[[Path], Any]:
    # Each imports what it needs, so that reading one format does not wait for h5py.
    if file_format == "keras_h5":
        from .keras_h5 import read_keras_h5

        return read_keras_h5
    if file_format == "mxnet_params":
        from .mxnet_params import read_mxnet_params

        return read_mxnet_params
    from .state_dict import read_state_dict

    return read_state_dict


def _origin(path: Path, name: str) -> dict[str, str]:
    digest = file_sha256(path)
    entry = published(name)
    if entry is not None and entry.matches(digest):
        return {"source": entry.url, "source-sha256": digest, "licence": entry.licence}
    return {"source": path.name, "source-sha256": digest}
