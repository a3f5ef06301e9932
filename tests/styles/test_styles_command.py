"""`bitbrush styles`: the list, one picture, the contact sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

# The command joins the application when its module is imported.
from bitbrush.cli import styles as _command  # noqa: F401
from bitbrush.cli.app import app
from bitbrush.styles import STYLES, render_style, style_names
from bitbrush.styles import sheet as sheet_module


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["styles", *arguments])


def test_lists_every_style_with_its_description() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == style_names()
    assert all(spec.description in result.stdout for spec in STYLES.values())


def test_writes_one_style(tmp_path: Path) -> None:
    path = tmp_path / "sea.png"
    result = run("waves", "-o", str(path), "--size", "96")
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), render_style("waves", 96))
    assert list(tmp_path.iterdir()) == [path]


def flat(name: str, size: int) -> npt.NDArray[np.uint8]:
    # A grey of its own for each style, in place of seconds of painting.
    return np.full((size, size, 3), 20 * style_names().index(name), dtype=np.uint8)


def test_writes_a_sheet_of_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_module, "render_style", flat)
    path = tmp_path / "sheet.png"
    assert run("-o", str(path), "--size", "64").exit_code == 0
    sheet = np.asarray(Image.open(path))
    # Rows of five, margins of 6 px.
    assert sheet.shape[1] == 5 * 70 + 6
    second = sheet.shape[0] // 2 + 3
    for number, name in enumerate(style_names()):
        left, top = 6 + number % 5 * 70, (6, second)[number // 5]
        np.testing.assert_array_equal(sheet[top : top + 64, left : left + 64], flat(name, 64))
        label = sheet[top + 64 : top + 64 + 18, left : left + 64]
        assert label.min() < 80 < 200 < label.max(), "a dark name on light ground below it"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["wave"], "unknown style 'wave'; did you mean 'waves'?"),
        (["--size", "96"], "--size has no meaning without -o FILE"),
        (["waves", "-o", "sea.xyz"], ".xyz"),
        (["-o", "nowhere/sheet.png", "waves", "--size", "64"], "no folder nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
