"""What lists of strings in an HDF5 file will take in memory, known before HDF5 reads them.

A string of variable length is stored as a length and a place in a heap. HDF5 reserves whatever
length is written there, so a few bytes could claim gigabytes, and many entries could be one long
string. It tells nothing of this beforehand, so the lengths are read from the file's bytes.

Source: HDF5 File Format Specification 3.0, IV.A.2.m (the attribute message) and IV.A.2.b.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py

from ..errors import InputError

VARIABLE_LENGTH = 9
"""The class of such a datatype, in the lower half of its first byte."""

_LAID_OUT = "it is laid out unlike the files that Keras writes"


class StringLists:
    """The attributes of a file that are lists of strings of variable length.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checked: set[str] = set()

    def check(self, group: h5py.Group, key: str) -> None:
        """Refuses a list that could be larger than the file.

        Args:
            group: of the file.
            key: the name of its attribute. The first time, all attributes of the name are checked,
                since that takes a look through the whole file.
        Raises:
            InputError: too large a list, or one that is stored where it cannot be looked at.
        """
        # Attributes beside their object, not in a heap of their own, which might be compressed;
        # older h5py does not tell.
        kept = getattr(h5py.h5o.get_info(group.id), "meta_size", None)
        # Eight bytes for an address and for a size.
        if (
            group.file.id.get_create_plist().get_sizes() != (8, 8)
            or (kept is not None and kept.attr.heap_size)
            or group.attrs.get_id(key).get_type().committed()
        ):
            raise InputError(_LAID_OUT)
        if key in self._checked:
            return
        found = False
        with (
            self._path.open("rb") as raw,
            mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            for match in re.finditer(re.escape(key.encode()), data):
                for total in _totals(data, match.start()):
                    found = True
                    if total > len(data):
                        raise InputError(f"its {key} are larger than the file")
        if not found:
            raise InputError(_LAID_OUT)
        self._checked.add(key)


def _totals(data: mmap.mmap, name: int) -> Iterator[int]:
    """The sum of the lengths of a list, if the attribute's name at this place begins one.

    An attribute message is version, flags, sizes of name, type and shape, a byte more in version 3,
    and then those three (each filled to eight bytes in version 1) and the list itself.
    """
    for before, versions in ((8, (1, 2)), (9, (3,))):
        start = name - before
        if start < 0 or data[start] not in versions:
            continue
        version, flags, *sizes = struct.unpack_from("<BBHHH", data, start)
        if flags:
            raise InputError(_LAID_OUT)
        if version == 1:
            sizes = [-(-size // 8) * 8 for size in sizes]
        kind, shape = name + sizes[0], name + sizes[0] + sizes[1]
        if shape + sizes[2] > len(data) or data[kind] & 15 != VARIABLE_LENGTH:
            continue
        # Of the shape: its version and number of axes, then the axes.
        if data[shape + 1] != 1:
            continue
        (count,) = struct.unpack_from("<Q", data, shape + (8 if data[shape] == 1 else 4))
        entries = data[shape + sizes[2] : shape + sizes[2] + 16 * count]
        yield sum(length for length, _, _ in struct.iter_unpack("<IQI", entries))
