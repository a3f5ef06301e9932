"""Reads Keras' HDF5 weight files (`save_weights`, or a whole model) into named arrays.

A file may come from anywhere, so only what such a file needs is accepted: groups and datasets
reached by plain links, of plain floats, stored in one piece inside the file, and together no
larger than it. That bounds what is allocated, and nothing is ever unpickled or run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .hdf5_strings import StringLists

MOST_NAMES = 4096
"""In one list; the deepest network here has 250 layers."""

LONGEST_NAME = 255


def read_keras_h5(path: str | Path) -> list[tuple[str, dict[str, NDArray[Any]]]]:
    """The layers that have weights, in the order of the model.

    Args:
        path: of the file; the layers may be at its root or below `model_weights`.
    Returns:
        for each layer its name and its weights, by their short name such as "kernel:0", in the
        file's order and precision.
    Raises:
        InputError: the file is missing, damaged, no Keras file, or holds what such files do not.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        with h5py.File(path, "r") as file:
            return _Reader(path).layers(file)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    # The HDF5 library reports damage through nearly every kind of exception there is.
    except Exception as error:
        raise InputError(f"{path} is damaged or no HDF5 file; get it again") from error


class _Reader:
    """Reads one file, whose size is the budget of bytes for all arrays together."""

    def __init__(self, path: Path) -> None:
        self.size = self.budget = path.stat().st_size
        self.strings = StringLists(path)

    def layers(self, file: h5py.File) -> list[tuple[str, dict[str, NDArray[Any]]]]:
        root: h5py.Group = file
        if "layer_names" not in root.attrs and "model_weights" in root:
            root = self._group(root, "model_weights")
        layers = []
        for name in self._names(root, "layer_names"):
            group = self._group(root, name)
            paths = self._names(group, "weight_names")
            weights = {path.rsplit("/", 1)[-1]: self._array(group, path) for path in paths}
            if len(weights) != len(paths):
                raise InputError(f"layer {name} holds two weights of one name")
            if weights:
                layers.append((name, weights))
        if not layers:
            raise InputError("it holds no layer with weights")
        return layers

    def _names(self, group: h5py.Group, key: str) -> list[str]:
        """A list of names; Keras cuts one that is too long for an attribute into key0, key1, …"""
        keys = [key]
        if key not in group.attrs:
            keys = []
            while f"{key}{len(keys)}" in group.attrs:
                keys.append(f"{key}{len(keys)}")
            if not keys:
                raise InputError(f"it has no {key}, so it is no Keras weight file")
        names: list[str] = []
        for part in keys:
            attribute = group.attrs.get_id(part)
            if len(attribute.shape) != 1 or len(names) + attribute.shape[0] > MOST_NAMES:
                raise InputError(f"its {key} are no list of at most {MOST_NAMES}")
            # An empty list is stored as floats, having no string to take a type from.
            if attribute.shape[0] == 0:
                continue
            if attribute.shape[0] * attribute.dtype.itemsize > self.size:
                raise InputError(f"its {key} are larger than the file")
            text = h5py.check_string_dtype(attribute.dtype)
            if text is None:
                raise InputError(f"its {key} are no text")
            if text.length is None:
                self.strings.check(group, part)
            for name in group.attrs[part]:
                names.append(_checked(name.decode() if isinstance(name, bytes) else str(name)))
        return names

    def _group(self, parent: h5py.Group, path: str) -> h5py.Group:
        found = self._follow(parent, path)
        if not isinstance(found, h5py.Group):
            raise InputError(f"{path} is no group")
        return found

    def _follow(self, parent: h5py.Group, path: str) -> Any:
        """What path leads to, over links that stay inside the file."""
        found: Any = parent
        for step in path.split("/"):
            if step in ("", ".", "..") or not isinstance(found, h5py.Group) or step not in found:
                raise InputError(f"it names {path}, which it does not hold")
            if not isinstance(found.get(step, getlink=True), h5py.HardLink):
                raise InputError(f"{path} is a link to elsewhere")
            found = found[step]
        return found

    def _array(self, group: h5py.Group, path: str) -> NDArray[Any]:
        data = self._follow(group, path)
        if not isinstance(data, h5py.Dataset):
            raise InputError(f"{path} is no array")
        if data.dtype.kind != "f" or data.dtype.itemsize > 8:
            raise InputError(f"{path} holds {data.dtype}, not plain floats")
        layout = data.id.get_create_plist().get_layout()
        if layout not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) or data.external:
            raise InputError(f"{path} is not stored in one piece inside the file")
        if not data.shape or len(data.shape) > 4:
            raise InputError(f"{path} has no axes, or more axes than four")
        bytes_needed = data.dtype.itemsize * math.prod(data.shape)
        if not 0 < bytes_needed <= self.budget:
            raise InputError(f"{path} has shape {list(data.shape)}, empty or larger than the file")
        if data.id.get_storage_size() != bytes_needed:
            raise InputError(f"{path} is not wholly there")
        self.budget -= bytes_needed
        array = np.empty(data.shape, dtype=data.dtype.newbyteorder("="))
        data.read_direct(array)
        return array


def _checked(name: str) -> str:
    """A name that fits into one line of a message."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"it names {name[:60]!r}…, which is too long or no plain text")
    return name
