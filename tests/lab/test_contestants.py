"""Networks of a laboratory go by names that tell whose their weights are."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from bitbrush.errors import InputError, NetworkMissingError
from bitbrush.lab.contestants import Contestant, contestant, contestants
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import Cell
from bitbrush.weights.bits import TITLE, read_metadata, save_network
from bitbrush.weights.importing import build

NAME = "quickbrush-small"
OURS = f"{NAME}, ours, 0.5 h, top-1 12.3 %"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / "trained.safetensors"
    save_network(build(NAME), path, {TITLE: OURS})
    return path


@pytest.fixture
def untold(tmp_path: Path) -> Path:
    path = tmp_path / "untold.safetensors"
    save_network(build(NAME), path, {})
    return path


def test_default_weights_go_by_the_networks_name() -> None:
    found = contestant(NAME)
    assert found == Contestant(NAME, "default", NAME, is_published=True)
    assert found.file is not None and found.file.name == f"{NAME}.safetensors"
    assert not found.is_control and found.spec.kind == "one-bit"


def test_random_weights_are_a_control() -> None:
    found = contestant(f"{NAME}=none")
    assert found.label == f"{NAME}, random weights"
    assert found.is_control and not found.is_published and found.file is None


def test_weights_trained_here_say_so(trained: Path) -> None:
    found = contestant(f"{NAME}={trained}")
    assert found.label == OURS and not found.is_published and found.file == trained


def test_weights_trained_here_say_so_as_defaults_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = "squeezenet, ours, 2 h, top-1 20.0 %"
    save_network(build("squeezenet"), tmp_path / "own.safetensors", {TITLE: title})
    monkeypatch.setenv("BITBRUSH_WEIGHTS", f"squeezenet={tmp_path / 'own.safetensors'}")
    found = contestant("squeezenet")
    assert found.label == title and not found.is_published


def test_other_files_go_by_their_name(untold: Path) -> None:
    assert contestant(f"{NAME}={untold}").label == f"{NAME}, untold.safetensors"


def test_each_is_there_once_in_their_order(trained: Path) -> None:
    found = contestants([f"{NAME}=none", NAME, f"{NAME}={trained}", NAME])
    assert list(found) == [f"{NAME}, random weights", NAME, OURS]


def test_what_is_no_contestant(
    trained: Path, untold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="names no weights; write quickbrush-small=FILE"):
        contestant(f"{NAME}=")
    with pytest.raises(InputError, match="no such file"):
        contestant(f"{NAME}={tmp_path / 'nowhere.safetensors'}")
    with pytest.raises(InputError, match="did you mean"):
        contestant("quickbrush-smal=none")
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path))
    with pytest.raises(NetworkMissingError):
        contestant("quicknet")
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / untold.name
    copy.write_bytes(untold.read_bytes())
    with pytest.raises(InputError, match="would both be called"):
        contestants([f"{NAME}={untold}", f"{NAME}={copy}"])


def test_two_trainings_of_the_same_title_are_told_apart_by_their_files(
    trained: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(trained.read_bytes())
    found = contestants([f"{NAME}={trained}", f"{NAME}={other}"])
    assert list(found) == [OURS, f"{OURS}, other.safetensors"]
    assert [each.label for each in found.values()] == list(found)


def test_metadata_of_other_files_is_none(tmp_path: Path, trained: Path) -> None:
    assert read_metadata(trained)[TITLE] == OURS
    for content in (b"", b"no weights at all", trained.read_bytes()[:100]):
        (tmp_path / "other").write_bytes(content)
        assert read_metadata(tmp_path / "other") == {}
    assert read_metadata(tmp_path / "nowhere") == {}


def test_a_cell_is_painted_with_the_weights_and_known_by_their_content(
    make_request: Callable[..., Request], trained: Path, untold: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(trained.read_bytes())
    by = [NAME, f"{NAME}=none", f"{NAME}={trained}", f"{NAME}={untold}"]
    request = make_request(*contestants(by).values())
    cells = [Cell(request.sources[0], request.settings(label)) for label in request.networks]
    assert [cell.settings.get("weights") for cell in cells] == [
        *(None, "none", str(trained), str(untold))
    ]
    assert len({cell.key for cell in cells}) == 4
    moved = Cell(request.sources[0], cells[2].settings | {"weights": str(copy)})
    assert moved.key == cells[2].key
    words = shlex.split(cells[2].command())
    assert words[words.index("--weights") + 1] == str(trained)


def test_other_default_weights_are_another_painting(
    make_request: Callable[..., Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request("squeezenet")
    cell = Cell(request.sources[0], request.settings("squeezenet"))
    keys = []
    for title in ("one", "other"):
        path = tmp_path / f"{title}.safetensors"
        save_network(build("squeezenet"), path, {TITLE: title})
        monkeypatch.setenv("BITBRUSH_WEIGHTS", f"squeezenet={path}")
        keys.append(cell.key)
    assert keys[0] != keys[1]
