"""MXNet's `.params` files: from bytes to named arrays.

A file is a list of arrays followed by a list of their names, little endian. Arrays come in three
layouts, told apart by their first word: legacy (before MXNet 1.0), V1 and V2. Nothing in a file is
trusted: every size is checked against the bytes that are left before anything is made of it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

LIST_MAGIC = 0x112
V1_MAGIC = 0xF993FAC8
V2_MAGIC = 0xF993FAC9
DENSE = 0
MAX_DIMENSIONS = 32

# Type 1 is float64 by name. BMXNet stores packed weights under it, 64 signs a word; read as
# numbers many of those words are NaNs, whose bits a conversion may change, so they stay integers.
DTYPES = {0: "<f4", 1: "<u8", 2: "<f2", 3: "u1", 4: "<i4"}

Array = npt.NDArray[Any]


def read_mxnet_params(path: Path | str) -> dict[str, Array]:
    """The arrays of a `.params` file by name, in the file's order.

    Args:
        path: a file in MXNet's list format, its arrays legacy, V1 or dense V2.
    Returns:
        arrays under their names with the file's prefix, such as "arg:conv0_weight" or
        "aux:bn0_moving_mean"; read-only, float32, float16, uint8 or int32. Arrays that the file
        calls float64 are given as uint64 words with their bits untouched.
    Raises:
        InputError: the file cannot be read, is truncated, damaged or in another format.
    Source: MXNet, src/ndarray/ndarray.cc (Save and Load); BMXNet's model converter for type 1.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return _Reader(data, str(path)).arrays()


class _Reader:
    """Walks through the bytes of one file; `left` never grows."""

    def __init__(self, data: bytes, path: str) -> None:
        self.data = memoryview(data)
        self.path = path
        self.position = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.position

    def bad(self, why: str) -> InputError:
        return InputError(f"{self.path} is not a whole MXNet .params file: {why}")

    def take(self, count: int) -> memoryview:
        if count > self.left:
            raise self.bad(f"{count} bytes expected at byte {self.position}, {self.left} are left")
        self.position += count
        return self.data[self.position - count : self.position]

    def integer(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def arrays(self) -> dict[str, Array]:
        if self.integer(8) != LIST_MAGIC:
            raise self.bad("it does not begin with the format's mark")
        self.take(8)
        values = [self.array() for _ in range(self.count(8))]
        names = [self.name() for _ in range(self.count(8))]
        if len(names) != len(values):
            raise self.bad(f"{len(values)} arrays but {len(names)} names")
        if len(set(names)) != len(names):
            raise self.bad("a name occurs twice")
        if self.left:
            raise self.bad(f"{self.left} bytes follow the last name")
        return dict(zip(names, values, strict=True))

    def count(self, smallest: int) -> int:
        """How many items follow, each of at least so many bytes."""
        count = self.integer(8)
        if count * smallest > self.left:
            raise self.bad(f"it announces {count} items, {self.left} bytes are left")
        return count

    def name(self) -> str:
        raw = bytes(self.take(self.integer(8)))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.bad(f"the name before byte {self.position} is no text") from error

    def array(self) -> Array:
        shape = self.shape()
        self.take(8)  # the device it was saved from
        kind = self.integer(4, signed=True)
        if kind not in DTYPES:
            raise self.bad(f"unknown element type {kind} at byte {self.position - 4}")
        dtype = np.dtype(DTYPES[kind])
        raw = self.take(math.prod(shape) * dtype.itemsize)
        return np.frombuffer(raw, dtype).reshape(shape)

    def shape(self) -> tuple[int, ...]:
        first = self.integer(4)
        if first == V2_MAGIC:
            storage = self.integer(4, signed=True)
            if storage != DENSE:
                raise self.bad(f"the array before byte {self.position} is sparse")
        wide = first in (V1_MAGIC, V2_MAGIC)
        dimensions = self.integer(4) if wide else first
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise self.bad(f"an array with {dimensions} dimensions before byte {self.position}")
        shape = tuple(self.integer(8 if wide else 4, signed=wide) for _ in range(dimensions))
        if min(shape) < 1:
            raise self.bad(f"an array of shape {shape} before byte {self.position}")
        return shape
