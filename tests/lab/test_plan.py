"""Cells have a name for what is painted, and a command that paints it again."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bitbrush.cli.paint  # noqa: F401 (joins the application)
from bitbrush.cli.app import app
from bitbrush.errors import InputError
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import Cell, cells_once, pictures_in, sources_of
from bitbrush.lab.runner import make


def test_a_key_tells_what_is_painted_and_nothing_else(make_request: Callable[..., Request]) -> None:
    request = make_request("quickbrush", pairs=2)
    first, second = request.sources
    cell = Cell(first, request.settings("quickbrush"), "sheet", "row", "column", {"a": 1})
    elsewhere = dataclasses.replace(cell, sheet="other", row="", facts={})
    assert cell.key == elsewhere.key
    others = [
        dataclasses.replace(cell, sources=second),
        dataclasses.replace(cell, settings=request.settings("quickbrush", tv_weight=1.0)),
    ]
    assert len({each.key for each in [cell, *others]}) == 3
    assert cells_once([cell, elsewhere, *others]) == [cell, *others]


def test_the_command_paints_the_same_picture(
    make_request: Callable[..., Request], tmp_path: Path
) -> None:
    request = make_request("quickbrush", seed=3)
    settings = request.settings(
        "quickbrush", style_taps="stem:0.5", tv_weight=1e-5, blur_gradient=False, content_weight=0.0
    )
    cell = Cell(request.sources[0], settings)
    (tmp_path / "paintings").mkdir()
    make(cell, tmp_path, None)
    words = shlex.split(cell.command(str(tmp_path / "again.png")))
    assert words[0] == "bitbrush"
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output
    first = (tmp_path / "paintings" / f"{cell.key}.png").read_bytes()
    assert (tmp_path / "again.png").read_bytes() == first


def test_every_content_meets_every_style(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sources_of(pictures / "content", str(pictures / "style"))
    assert [each.name for each in found] == [
        f"content{c}+style{s}" for c in range(2) for s in range(2)
    ]
    (one,) = sources_of(pictures / "content" / "content1.png", "waves")
    assert (one.name, one.style) == ("content1+waves", "waves")
    # A folder that is called like a built-in style is a folder of styles.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "waves").mkdir()
    (tmp_path / "waves" / "own.png").touch()
    (one,) = sources_of(pictures / "content" / "content1.png", "waves")
    assert Path(one.style) == Path("waves/own.png")


def test_one_to_one(pictures: Path) -> None:
    found = sources_of(pictures / "content", str(pictures / "style"), one_to_one=True)
    assert [each.name for each in found] == ["content0+style0", "content1+style1"]
    with pytest.raises(InputError, match="photographs: 2, styles: 1"):
        sources_of(pictures / "content", "waves", one_to_one=True)
    words = ["lab", "gallery", "--content", str(pictures / "content"), "--style", "waves"]
    result = CliRunner().invoke(app, [*words, "--one-to-one", "-o", str(pictures / "none")])
    assert result.exit_code == 2
    assert "as many styles as photographs" in result.output


def test_bad_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        pictures_in(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no picture"):
        pictures_in(tmp_path)
