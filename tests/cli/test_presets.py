"""`bitbrush presets` and `bitbrush paint --preset`."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bitbrush.cli import main
from bitbrush.cli.app import app
from bitbrush.images import read_metadata
from bitbrush.presets import load_preset, preset_names, shipped_file

SMALL = ("--steps", "2", "--threads", "1")

MINE = """
description = "two inks in a square"
crop = "square"
[settings]
size = 40
style_taps = "stem"
tv_weight = 0.25
[finish]
kind = "tones"
inks = ["#102030", "#f0e0d0"]
[print]
pixels = 72
"""


@pytest.fixture(autouse=True)
def quick_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-in styles as small random pictures, since to draw them takes seconds."""
    pixels = np.random.default_rng(3).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    monkeypatch.setattr("bitbrush.style.sources._drawn", lambda name, size: pixels)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with content.png (64x48) and mine.toml."""
    pixels = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "content.png")
    (tmp_path / "mine.toml").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def paint(*words: str) -> Any:
    return run("paint", "content.png", "-o", "out.png", *SMALL, *words)


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def refused(said: str, *words: str) -> None:
    result = run(*words)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("bitbrush: ") and result.stderr.count("\n") == 1
    assert re.search(said, result.stderr), result.stderr


def test_a_shipped_preset_needs_no_style(folder: Path) -> None:
    result = paint("--preset", "riso", "--size", "48")
    assert result.exit_code == 0, result.stderr
    metadata = read_metadata("out.png")
    preset = load_preset("riso")
    assert metadata["preset"]["name"] == "riso" and metadata["preset"]["sha256"] == preset.sha256
    assert metadata["styles"][0]["name"] == preset.style
    assert metadata["settings"]["style_taps"] == preset.settings["style_taps"]
    assert size_of("out.png") == (34, 48)


def test_what_is_given_wins_over_the_preset(folder: Path) -> None:
    assert paint("mosaic", "--preset", "mine.toml", "--tv-weight", "0.002").exit_code == 0
    metadata = read_metadata("out.png")
    # The value of a default counts too, if it is given.
    assert metadata["settings"]["tv_weight"] == 0.002
    assert metadata["settings"]["style_taps"] == "stem"
    assert [style["name"] for style in metadata["styles"]] == ["mosaic"]
    assert size_of("out.png") == (72, 72)
    assert paint("mosaic", "--preset", "mine.toml", "--size", "50").exit_code == 0
    assert size_of("out.png") == (50, 50)


@pytest.mark.parametrize(
    "given",
    [
        ("mosaic", "--preset", "mine.toml"),
        ("mosaic", "--preset", "mine.toml", "--size", "40", "--tv-weight", "0.002"),
        ("--preset", "thermal", "--size", "64", "--seed", "3"),
    ],
)
def test_show_prints_the_command_that_repeats_it(folder: Path, given: tuple[str, ...]) -> None:
    assert paint(*given).exit_code == 0
    before = (folder / "out.png").read_bytes()
    shown = run("show", "out.png").stdout
    (folder / "out.png").unlink()
    program, *words = shlex.split(shown.splitlines()[0])
    assert program == "bitbrush" and "--preset" in words
    assert run(*words).exit_code == 0
    assert (folder / "out.png").read_bytes() == before
    assert ("mine.toml" in "".join(shown.splitlines()[1:])) == ("mine.toml" in given)


def test_an_interrupted_painting_continues(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("mosaic", "--preset", "mine.toml", "--steps", "4", "--save-every", "1")
    assert paint(*words).exit_code == 0
    whole = (folder / "out.png").read_bytes()
    (folder / "out.png").unlink()
    shown = main.paint._show

    def interrupting(bar: Any, step: Any) -> None:
        shown(bar, step)
        if step.done == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(main.paint, "_show", interrupting)
        assert paint(*words).exit_code == 130
    # The picture so far has its finish already.
    with Image.open("out.png") as picture:
        assert len(picture.convert("RGB").getcolors()) == 2
    assert (folder / "out.png.checkpoint").exists()
    result = paint(*words, "--resume")
    assert result.exit_code == 0 and "resuming at step" in result.stderr
    assert (folder / "out.png").read_bytes() == whole
    result = paint(*words, "--resume")
    assert result.exit_code == 0 and "finished already" in result.stderr
    (folder / "mine.toml").write_text(MINE.replace("#f0e0d0", "#ffffff"))
    result = paint(*words, "--resume")
    assert result.exit_code == 2 and "painted with other settings" in result.stderr


def test_what_cannot_be_painted_is_one_line(folder: Path) -> None:
    words = ("paint", "content.png", "-o", "new.png")
    refused("did you mean 'cassette'", *words, "--preset", "cassete")
    refused("no file none.toml", *words, "--preset", "none.toml")
    refused("preset mine.toml brings no style of its own", *words, "--preset", "mine.toml")
    refused(
        "with preset mine.toml: --style-taps has no meaning",
        *(*words, "mosaic", "--preset", "mine.toml", "--style-weight", "0"),
    )
    (folder / "bad.toml").write_text(MINE.replace("tv_weight = 0.25", "tv_weight = -1"))
    refused(r"bad.toml: settings.tv_weight: --tv-weight must be", *words, "--preset", "bad.toml")
    (folder / "deep.toml").write_text(MINE.replace("stem", "steam"))
    refused("did you mean 'stem'", *words, "mosaic", "--preset", "deep.toml")
    assert not (folder / "new.png").exists()


def test_all_are_listed(folder: Path) -> None:
    lines = run("presets").stdout.splitlines()
    assert [line.split()[0] for line in lines] == preset_names()
    assert all(load_preset(line.split()[0]).description in line for line in lines)
    (one,) = run("presets", "mine.toml").stdout.splitlines()
    assert one == "mine.toml  two inks in a square"
    listed = json.loads(run("presets", "--json").stdout)
    assert [preset["name"] for preset in listed] == preset_names()
    assert all(preset["finish"]["kind"] for preset in listed)


def test_one_is_saved_to_be_edited(folder: Path) -> None:
    assert run("presets", "riso", "--save", "my-riso.toml").exit_code == 0
    assert (folder / "my-riso.toml").read_bytes() == shipped_file("riso")
    refused("my-riso.toml exists", "presets", "riso", "--save", "my-riso.toml")
    refused("ends in .toml", "presets", "riso", "--save", "riso.txt")
    refused("did you mean 'riso'", "presets", "rizo", "--save", "new.toml")
    refused("name the preset", "presets", "--save", "new.toml")
    assert load_preset("my-riso.toml").settings == load_preset("riso").settings


def test_a_sheet_and_the_single_pictures_are_written(folder: Path) -> None:
    words = ("--preset", "riso", "--preset", "mine.toml", "--style", "mosaic")
    result = run(
        *("presets", "content.png", "-o", "sheet.png", "--folder", "single/pictures", *words),
        *("--size", "48", "--steps", "1"),
    )
    assert result.exit_code == 0, result.stderr
    single = ["single/pictures/riso.png", "single/pictures/mine.png"]
    assert result.stdout.split() == ["sheet.png", *single]
    assert result.stderr.startswith("painting: 100 %")
    assert [size_of(path) for path in single] == [(34, 48), (48, 48)]
    assert size_of("sheet.png") == (6 + (64 + 6) + (34 + 6) + (48 + 6), 6 + 48 + 14 + 6)
    assert read_metadata("sheet.png")["presets"] == ["riso", "mine.toml"]
    made = read_metadata(single[1])
    assert made["settings"]["tv_weight"] == 0.25 and made["steps_done"] == 1
    assert made["styles"][0]["name"] == "mosaic"
    assert not list(folder.rglob("*.part"))


def test_the_sheet_has_every_preset(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # That each of those that ship paints is tested where they are painted one by one.
    names = preset_names()[:2]
    monkeypatch.setattr("bitbrush.cli.presets.preset_names", lambda: names)
    result = run("presets", "content.png", "-o", "s.png", "--size", "48", "--steps", "1", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == ["s.png"]
    assert read_metadata("s.png")["presets"] == names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("content.png", "content.png is no preset; to paint .* add -o SHEET.png"),
        ("rizo", "did you mean 'riso'"),
        ("riso --size 64", "--size has no meaning without -o"),
        ("--style waves", "--style has no meaning without -o"),
        ("-o sheet.png", "name the PICTURE"),
        ("nothing.png -o sheet.png", "no file nothing.png"),
        ("content.png -o sheet.xyz", "ending"),
        ("content.png -o none/sheet.png", "no folder none"),
        ("content.png -o content.png", "would replace content.png"),
        ("content.png --folder here --preset content.toml --style waves", "would replace"),
        ("content.png -o s.png --preset mine.toml", "mine.toml brings no style"),
        ("content.png -o s.png --preset mine.toml --preset riso --style wavs", "'waves'"),
        ("content.png -o s.png --preset riso --preset riso", "two of the --preset"),
        (
            "content.png --folder new --preset riso --preset riso.toml",
            "two pictures .* new/riso.png",
        ),
        ("content.png -o new/riso.png --folder new --preset riso", "two pictures .* new/riso.png"),
        ("content.png -o s.png --save new.toml", "--save has no meaning with"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder: Path, words: str, said: str) -> None:
    (folder / "content.toml").write_text(MINE)
    (folder / "riso.toml").write_bytes(shipped_file("riso"))
    (folder / "here").mkdir()
    (folder / "here" / "content.png").symlink_to(folder / "content.png")
    refused(said, "presets", *shlex.split(words))
    assert not any((folder / name).exists() for name in ("s.png", "sheet.png", "new"))
