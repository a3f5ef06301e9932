"""`bitbrush paint`: what it writes, what it says, and that `show` repeats it."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from bitbrush.cli import main
from bitbrush.cli.app import app
from bitbrush.engine.precision import best_precision
from bitbrush.images import read_metadata
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.style.settings import PaintSettings, option_name

SMALL = ("--size", "64", "--steps", "2", "--weights", "none", "--threads", "1")


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """quickbrush with fewer channels, which has the same taps; the same weights each time."""

    def build(name: str, pooling: str | None) -> QuickBrush:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return QuickBrush(name, stem=8, widths=(64, 64, 64, 64))

    monkeypatch.setattr("bitbrush.weights.loading.build", build)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with content.png (64x48), clear.png (with alpha) and style.png."""
    random = np.random.default_rng(1)
    for name, shape in (("content", (48, 64, 3)), ("clear", (48, 64, 4)), ("style", (40, 40, 3))):
        pixels = random.integers(0, 255, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paint(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["paint", *arguments])


def pixels(path: Path | str) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_every_setting_is_an_option() -> None:
    text = CliRunner().invoke(app, ["paint", "--help"]).stdout
    wanted = [option_name(field.name) for field in dataclasses.fields(PaintSettings)]
    wanted += ["--output", "--save-every", "--resume", "--json", "--version", "--quiet", "--debug"]
    for option in wanted:
        assert f"{option} " in text or f"{option}\n" in text, option


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff"])
def test_a_picture_holds_its_settings_but_no_folder(folder: Path, ending: str) -> None:
    deep = folder / "a folder of mine"
    deep.mkdir()
    shutil.copy("style.png", deep / "init.png")
    output = deep / f"out.{ending}"
    result = paint(
        *(str(folder / "content.png"), str(folder / "style.png"), "-o", str(output), *SMALL),
        *("--init", str(deep / "init.png")),
    )
    assert result.exit_code == 0, result.stderr
    said = result.stdout.split()
    assert str(output) in result.stdout and "64x48" in said and {"s,", "MB"} <= set(said)
    assert pixels(output).shape == (48, 64, 3)
    data = output.read_bytes()
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        for word in (folder.name, "a folder of mine"):
            assert word.encode(encoding) not in data
    metadata = read_metadata(output)
    assert metadata["content"]["name"] == "content.png" and metadata["settings"]["steps"] == 2
    assert metadata["settings"]["init"] == "init.png"
    for source in (metadata["content"], *metadata["styles"]):
        assert len(source["sha256"]) == 64


def test_json_is_one_object_and_nothing_else(folder: Path) -> None:
    words = ("content.png", "style.png", "clear.png", "-o", "out.png", *SMALL, "--json")
    words += ("--style-weights", "0.7,0.3", "--style-taps", "stem:2,stage2.block3")
    result = paint(*words)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert list(found) == [
        *("output", "network", "engine", "precision", "threads", "device", "width", "height"),
        *("steps", "seconds", "peak_rss_mb", "losses", "settings"),
    ]
    assert (found["engine"], found["threads"]) == ("packed", 1)
    assert found["precision"] == best_precision()
    assert (found["output"], found["network"], found["device"]) == ("out.png", "quickbrush", "cpu")
    assert (found["width"], found["height"], found["steps"]) == (64, 48, 2)
    assert found["seconds"] > 0 and 50 < found["peak_rss_mb"] < 20000
    assert found["settings"].keys() == {field.name for field in dataclasses.fields(PaintSettings)}
    assert found["settings"]["style_weights"] == [0.7, 0.3]
    assert {"style/stem", "style/stage2.block3", "colour", "tv"} < found["losses"].keys()
    again = paint(*words, "--resume")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["losses"] == found["losses"]


def test_quiet_says_nothing_at_all(folder: Path) -> None:
    # In a process of its own, where libraries may speak for the first time.
    code = "from bitbrush.cli.main import main; main()"
    words = ["paint", "content.png", "style.png", "-o", "out.png", *SMALL, "--quiet"]
    result = subprocess.run(
        [sys.executable, "-c", code, *words, "--optimizer", "lbfgs", "--resume"],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (folder / "out.png").exists()


def test_a_name_need_not_be_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, written = b"caf\xe9.png", io.BytesIO()
    words = ["paint", "content.png", "style.png", "-o", os.fsdecode(name), *SMALL, "--resume"]
    monkeypatch.setattr(sys, "argv", ["bitbrush", *words])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "utf-8"))
    monkeypatch.setattr(main, "install_signals", lambda: None)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 0 and written.getvalue().startswith(name + b": 64x48 px")
    assert os.path.exists(name)


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("--style-weights", "0.7,0.3", "--seed", "3", "--no-blur-gradient", "--init", "noise"),
        ("--optimizer", "lbfgs", "--canvas", "fourier", "--statistic", "gram", "--style-size=80"),
        ("--estimator", "approx", "--estimator-width", "0.5", "--encode-scale", "1.5"),
        ("--preserve-colours", "luminance", "--content-taps", "stem", "--average", "0"),
        ("--tv-weight", "1e-5", "--content-weight", "0", "--preserve-colours", "statistics"),
    ],
)
def test_the_command_that_show_prints_paints_the_same(
    folder: Path, settings: tuple[str, ...]
) -> None:
    first = paint("content.png", "style.png", "content.png", "-o", "out.png", *SMALL, *settings)
    assert first.exit_code == 0, first.stderr
    shown = CliRunner().invoke(app, ["show", "out.png"]).stdout.splitlines()[0]
    program, *words = shlex.split(shown)
    assert program == "bitbrush"
    before = (folder / "out.png").read_bytes()
    (folder / "out.png").unlink()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (folder / "out.png").read_bytes() == before
    for setting in settings[::2]:
        assert setting.partition("=")[0] in shown


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
def test_transparency_is_kept(folder: Path, ending: str) -> None:
    assert paint("clear.png", "style.png", "-o", f"out.{ending}", *SMALL).exit_code == 0
    assert (pixels(f"out.{ending}")[..., 3] == pixels("clear.png")[..., 3]).all()


def test_the_size_is_the_long_edge_and_the_aspect_is_kept(folder: Path) -> None:
    Image.new("RGB", (45, 90), "navy").save("tall.png")
    assert paint("tall.png", "style.png", "-o", "out.png", *SMALL, "--size", "97").exit_code == 0
    assert pixels("out.png").shape[:2] == (97, 48)


def test_a_file_comes_before_a_built_in_style_of_its_name(folder: Path) -> None:
    shutil.copy("style.png", "waves")
    (folder / "mosaic").mkdir()
    assert paint("content.png", "waves", "mosaic", "-o", "out.png", *SMALL).exit_code == 0
    file, made = read_metadata("out.png")["styles"]
    assert paint("content.png", "style.png", "-o", "out.png", *SMALL).exit_code == 0
    assert file["sha256"] == read_metadata("out.png")["styles"][0]["sha256"]
    assert made["name"] == "mosaic" and made["sha256"] != file["sha256"]


def test_the_same_style_twice_is_that_style(folder: Path) -> None:
    assert paint("content.png", "style.png", "-o", "one.png", *SMALL).exit_code == 0
    assert paint("content.png", "style.png", "style.png", "-o", "two.png", *SMALL).exit_code == 0
    assert paint("content.png", "style.png", "-o", "seed.png", *SMALL, "--seed", "1").exit_code == 0
    one, two, seed = (pixels(f"{name}.png").astype(int) for name in ("one", "two", "seed"))
    # Each style draws its own directions, so the two pictures differ as two seeds do.
    assert np.abs(one - two).mean() < 1.5 * np.abs(one - seed).mean()


def test_styles_weigh_as_much_as_they_are_given(folder: Path) -> None:
    words = ("content.png", "style.png", "content.png", "-o")
    assert paint(*words, "zero.png", *SMALL, "--style-weights", "1,0").exit_code == 0
    assert paint("content.png", "style.png", "-o", "one.png", *SMALL).exit_code == 0
    assert paint(*words, "both.png", *SMALL).exit_code == 0
    assert (pixels("zero.png") == pixels("one.png")).all()
    assert (pixels("both.png") != pixels("one.png")).any()


@pytest.mark.parametrize(
    "change",
    [
        *(("--seed", "1"), ("--steps", "3"), ("--learning-rate", "0.1"), ("--roll", "0")),
        *(("--content-weight", "1"), ("--style-weight", "3"), ("--colour-weight", "2")),
        *(("--tv-weight", "1"), ("--style-size", "100"), ("--statistic", "mean")),
        *(("--content-taps", "stem"), ("--style-taps", "stem:3,stage1.block1")),
        *(("--optimizer", "lbfgs"), ("--canvas", "fourier"), ("--init", "grey")),
        *(("--estimator", "ste"), ("--encode-scale", "2"), ("--average", "0.1")),
        *(("--preserve-colours", "luminance"), ("--no-blur-gradient",)),
        *(("--min-size", "32"), ("--size", "63")),
    ],
    ids="_".join,
)
def test_every_setting_changes_the_picture(
    folder: Path, plain: Callable[[], bytes], change: tuple[str, ...]
) -> None:
    Image.fromarray(np.tile(pixels("content.png"), (2, 1, 1))[:64]).save("square.png")
    result = paint("square.png", "style.png", "-o", "out.png", *SMALL, *change)
    assert result.exit_code == 0, result.stderr
    with Image.open("out.png") as picture:
        assert picture.tobytes() != plain()


@pytest.fixture
def plain(folder: Path) -> Callable[[], bytes]:
    """Gives the pixels of a painting of square.png without further settings."""

    def make() -> bytes:
        assert paint("square.png", "style.png", "-o", "plain.png", *SMALL).exit_code == 0
        with Image.open("plain.png") as picture:
            return picture.tobytes()

    return make
