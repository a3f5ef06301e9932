"""MXNet's .params files: what is in them comes out, and nothing else ever does."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitbrush.errors import InputError
from bitbrush.weights.mxnet_params import read_mxnet_params

LAYOUTS = ("legacy", "v1", "v2")
KINDS = {"<f4": 0, "<u8": 1, "<f2": 2, "|u1": 3, "<i4": 4}


def pack_array(array: np.ndarray, layout: str) -> bytes:
    """One array as MXNet saves it, from the description of the format."""
    head = {"legacy": b"", "v1": b"\xc8\xfa\x93\xf9", "v2": b"\xc9\xfa\x93\xf9" + bytes(4)}[layout]
    dimension = "I" if layout == "legacy" else "q"
    head += struct.pack(f"<I{array.ndim}{dimension}", array.ndim, *array.shape)
    return head + struct.pack("<iii", 1, 0, KINDS[array.dtype.str]) + array.tobytes()


def pack_file(arrays: dict[str, np.ndarray], layout: str) -> bytes:
    data = struct.pack("<QQQ", 0x112, 0, len(arrays))
    data += b"".join(pack_array(array, layout) for array in arrays.values())
    data += struct.pack("<Q", len(arrays))
    for name in arrays:
        data += struct.pack("<Q", len(name.encode())) + name.encode()
    return data


ARRAYS = {
    "arg:conv0_weight": np.arange(24, dtype="<f4").reshape(2, 3, 2, 2),
    # As float64 these words are NaNs of every sort and an infinity.
    "arg:packed_weight": np.array(
        [0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF, 0x7FF0000000000000, 0x7FF4DEADBEEF0001], "<u8"
    ),
    "aux:half": np.array([[1.5, -2.0]], "<f2"),
    "aux:bytes": np.array([1, 2, 255], "u1"),
    "aux:counts": np.array([-1, 7], "<i4"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("params")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_array_comes_back_to_the_bit(layout: str, folder: Path) -> None:
    path = folder / "whole.params"
    path.write_bytes(pack_file(ARRAYS, layout))
    arrays = read_mxnet_params(path)
    assert list(arrays) == list(ARRAYS)
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype and array.shape == ARRAYS[name].shape
        assert array.tobytes() == ARRAYS[name].tobytes()


@given(st.sampled_from(LAYOUTS), st.floats(0, 1, exclude_max=True))
@settings(max_examples=150)
def test_a_truncated_file_is_refused(folder: Path, layout: str, share: float) -> None:
    data = pack_file(ARRAYS, layout)
    path = folder / "short.params"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"short\.params is not a whole MXNet"):
        read_mxnet_params(path)


@given(
    st.sampled_from(LAYOUTS),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
)
@settings(max_examples=400)
def test_a_damaged_file_gives_arrays_or_one_error(
    folder: Path, layout: str, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(pack_file(ARRAYS, layout))
    for where, value in damage:
        data[where % len(data)] = value
    path = folder / "damaged.params"
    path.write_bytes(data)
    try:
        arrays = read_mxnet_params(path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert sum(array.nbytes for array in arrays.values()) < len(data)


HEAD = struct.pack("<QQQ", 0x112, 0, 1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "8 bytes expected"),
        (b"PK\x03\x04" + bytes(40), "mark"),
        (struct.pack("<QQQ", 0x112, 0, 2**63), "announces"),
        (HEAD + struct.pack("<I4I", 4, *[2**31] * 4) + bytes(12), "bytes expected"),
        (HEAD + b"\xc8\xfa\x93\xf9" + struct.pack("<Iqq", 2, -4, -4) + bytes(12), "shape"),
        (HEAD + struct.pack("<I2I", 2, 0, 2**31) + bytes(12), "shape"),
        (HEAD + struct.pack("<I", 2**31) + bytes(12), "dimensions"),
        (HEAD + b"\xc9\xfa\x93\xf9" + struct.pack("<i", 1) + bytes(64), "sparse"),
        (HEAD + struct.pack("<IIiii", 1, 1, 1, 0, 9) + bytes(8), "element type 9"),
        (pack_file({"a": np.zeros(1, "<f4")}, "v1") + b"x", "1 bytes follow"),
    ],
)
def test_hostile_files_are_refused_with_the_reason(data: bytes, why: str, folder: Path) -> None:
    path = folder / "hostile.params"
    path.write_bytes(data)
    with pytest.raises(InputError, match=why):
        read_mxnet_params(path)


def test_a_missing_file_and_a_folder_are_input_errors(folder: Path) -> None:
    for path in (folder / "absent.params", folder):
        with pytest.raises(InputError, match="cannot read"):
            read_mxnet_params(path)
