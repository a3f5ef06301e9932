"""State dicts: tensors and nothing but tensors."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bitbrush.errors import InputError
from bitbrush.weights.state_dict import read_state_dict

STATE = {"a.weight": torch.arange(6.0).view(2, 3).half(), "a.bias": torch.tensor([1.0, -2.0])}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {suffix: tmp_path / f"net{suffix}" for suffix in (".safetensors", ".pth", ".pt")}
    save_file(STATE, paths[".safetensors"])
    for suffix in (".pth", ".pt"):
        torch.save(STATE, paths[suffix])
    return paths


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_tensors_come_back_as_they_were(suffix: str, files: dict[str, Path]) -> None:
    state = read_state_dict(files[suffix])
    assert state.keys() == STATE.keys()
    for name, value in state.items():
        assert value.dtype == STATE[name].dtype and torch.equal(value, STATE[name])


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_truncated_files_are_refused_in_one_line(suffix: str, files: dict[str, Path]) -> None:
    data = files[suffix].read_bytes()
    for length in (0, 1, 7, 8, 30, len(data) // 2, len(data) - 1):
        files[suffix].write_bytes(data[:length])
        with pytest.raises(InputError, match="cannot read") as caught:
            read_state_dict(files[suffix])
        assert "\n" not in str(caught.value)


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.filterwarnings("ignore")
def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    torch.save({"a": Payload(tmp_path / "harm")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"evil\.pth"):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "held", [[1, 2], {"a": 3}, {1: torch.zeros(1)}, {"a": torch.eye(2).to_sparse()}]
)
def test_anything_but_named_dense_tensors_is_refused(held: object, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "other.pth")
    with pytest.raises(InputError, match="more than named tensors"):
        read_state_dict(tmp_path / "other.pth")


def untouched(*_: object, **__: object) -> None:
    pytest.fail("torch.load was called")


def test_the_bytes_tell_the_format_not_the_name(files: dict[str, Path], tmp_path: Path) -> None:
    for suffix, name in ((".safetensors", "a.pth"), (".pth", "pytorch_model.bin")):
        path = files[suffix].rename(tmp_path / name)
        assert read_state_dict(path).keys() == STATE.keys()


def rewritten(path: Path, compression: int, times: int) -> None:
    """The same archive with its records compressed, or listed several times."""
    with zipfile.ZipFile(path) as archive:
        records = [(record.filename, archive.read(record)) for record in archive.infolist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in records:
            archive.writestr(name, data)
        archive.filelist *= times


@pytest.mark.parametrize(
    ("compression", "times", "message"),
    [(zipfile.ZIP_DEFLATED, 1, "compressed"), (zipfile.ZIP_STORED, 50, "more than its size")],
)
def test_archives_that_unpack_to_more_are_refused_unopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: int, times: int, message: str
) -> None:
    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(10_000)}, path)
    rewritten(path, compression, times)
    monkeypatch.setattr(torch, "load", untouched)
    with pytest.raises(InputError, match=message):
        read_state_dict(path)


@pytest.mark.parametrize("version", ["2.4.0", "2.9.1+cpu"])
def test_a_torch_that_runs_code_is_given_no_pickle(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(torch, "load", untouched)
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(InputError, match=r"update torch to 2\.10"):
        read_state_dict(files[".pth"])
    assert read_state_dict(files[".safetensors"]).keys() == STATE.keys()


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_state_dict(tmp_path / "net.pth")
