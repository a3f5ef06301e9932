"""A weight file's format is told by its first bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.weights.bits import FORMAT
from bitbrush.weights.importing import sniff


def safetensors(path: Path, metadata: dict[str, str], length: int) -> Path:
    """A safetensors file without arrays whose header is `length` bytes long."""
    header = json.dumps({"__metadata__": metadata}).encode().ljust(length)
    path.write_bytes(struct.pack("<Q", length) + header)
    return path


# 0x80 is also the first byte of a pickle.
@pytest.mark.parametrize("length", [0x7F, 0x80, 0x81, 0x180, 0x3A80])
def test_a_safetensors_header_of_any_length_is_known(tmp_path: Path, length: int) -> None:
    ours = safetensors(tmp_path / "ours.safetensors", {"format": FORMAT}, length)
    assert sniff(ours) == "bitbrush"
    assert sniff(safetensors(tmp_path / "foreign.safetensors", {"a": "b"}, length)) == "state_dict"


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "keras_h5"),
        (struct.pack("<QQ", 0x112, 0) + bytes(20), "mxnet_params"),
        (b"PK\x03\x04" + bytes(20), "state_dict"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j", "state_dict"),
    ],
)
def test_foreign_formats_are_known(tmp_path: Path, head: bytes, known: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(head)
    assert sniff(path) == known


@pytest.mark.parametrize("content", [b"", b"\x10", b"what is this file, a text?"])
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no weight file"):
        sniff(path)
