"""`bitbrush paint`, asked for what cannot be done: one line, exit code 2, nothing left behind."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from bitbrush.cli import main  # noqa: F401 - gathers the commands
from bitbrush.cli.app import app
from bitbrush.cli.paint import Run
from bitbrush.engine.compiling import compile_missing
from bitbrush.images import read_metadata
from bitbrush.style.loop import ScalePainter

SMALL = ("--size", "64", "--steps", "4", "--weights", "none")


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """All kernels: whoever has to wait for them is told so, on lines of their own."""
    compile_missing(lambda done: None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pictures, things that are none, and an older out.png."""
    random = np.random.default_rng(2)
    for name, shape in (("content", (64, 64, 3)), ("clear", (64, 64, 4)), ("style", (40, 40, 3))):
        Image.fromarray(random.integers(0, 255, shape, dtype=np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    Image.new("RGB", (31, 200)).save(tmp_path / "narrow.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "album").mkdir()
    shutil.copy(tmp_path / "style.png", tmp_path / "out.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paint(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["paint", *arguments])


def pixels(path: str) -> bytes:
    with Image.open(path) as picture:
        return picture.tobytes()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(folder: Path, said: str, *arguments: str) -> None:
    before = contents(folder)
    result = paint(*arguments)
    line = result.stderr
    assert result.exit_code == 2, line
    assert line.startswith("bitbrush: ") and line.count("\n") == 1 and result.stdout == ""
    assert re.search(said, line), line
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("operands", "said"),
    [
        ("nothing.png style.png -o new.png", "no file nothing.png"),
        ("content.png nothing.png -o new.png", "no file nothing.png"),
        ("content.png mosiac -o new.png", "did you mean 'mosaic'"),
        ("content.png style.png --init nosie -o new.png", "did you mean 'noise'"),
        ("content.png style.png --init nothing.png -o new.png", "no file nothing.png"),
        ("album style.png -o new.png", "album is a folder"),
        ("content.png album -o new.png", "album is a folder"),
        ("text.png style.png -o new.png", "text.png is not a picture"),
        ("content.png empty.png -o new.png", "empty.png is empty"),
        ("narrow.png style.png -o new.png", "narrow.png is 31x200 px.* too small"),
        ("content.png narrow.png -o new.png", "narrow.png is 31x200 px.* too small"),
        ("clear.png style.png -o new.jpg", "JPEG has no transparency"),
        ("content.png style.png -o new.gif", "ending"),
        ("content.png style.png -o new", "ending"),
        ("content.png style.png -o album", "ending"),
        ("content.png style.png -o nowhere/new.png", "no folder nowhere"),
        ("content.png style.png -o content.png", "would replace content.png"),
        ("content.png style.png -o album/../style.png", "would replace style.png"),
        ("content.png style.png --init out.png -o out.png", "would replace out.png"),
        (f"content.png style.png -o {'x' * 220}.png", "name is longer"),
        ("content.png style.png", "Missing option.*--output"),
        ("content.png -o new.png", "Missing argument 'STYLE"),
        ("-o new.png", "Missing argument 'CONTENT"),
    ],
)
def test_operands_that_are_no_good(folder: Path, operands: str, said: str) -> None:
    refused(folder, said, *operands.split(), *SMALL)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("--network quickbrsh", "did you mean 'quickbrush'"),
        ("--style-taps stage2.blok3", "did you mean 'stage2.block3'"),
        ("--content-taps stage9", "tap of quickbrush 'stage9'"),
        ("--style-taps stem:x", "NAME"),
        ("--style-taps stem,stem", "NAME"),
        ("--statistic gramm", "did you mean 'gram'"),
        ("--optimizer adm", "did you mean 'adam'"),
        ("--canvas pixel", "did you mean 'pixels'"),
        ("--preserve-colours luminanse", "did you mean 'luminance'"),
        ("--learning-rat 1", "--learning-rate"),
        ("--size 31", "31x31 px is too small.* 32 px"),
        ("--size 0", "--size must be between 1 and 16384"),
        ("--size 99999", "--size must be between 1 and 16384"),
        ("--size 64.5", "--size.*integer"),
        ("--size=-64", "--size must be"),
        ("--steps 0", "--steps must be"),
        ("--save-every 0", "--save-every"),
        ("--threads 0", "--threads must be"),
        ("--style-weight nan", "--style-weight must be"),
        ("--content-weight=-1", "--content-weight must be"),
        ("--tv-weight inf", "--tv-weight must be"),
        ("--style-weights 0.5,x", "--style-weights"),
        ("--style-weights 0.5,0.5", "2 --style-weights for 1 styles"),
        ("--style-weights 0", "--style-weights are all 0"),
        ("--style-weight 0 --content-weight 0 --colour-weight 0", "all 0"),
        ("--style-weight 0 --style-taps stem", "--style-taps has no meaning"),
        ("--estimator identity --estimator-width 2", "has no --estimator-width"),
        ("--pooling max", "quickbrush does not pool"),
        ("--engine packed --network vgg19", "vgg19 has no one-bit layers"),
        ("--precision bf16 --engine float", "is the packed engine's"),
        ("--precision half", "unknown --precision"),
        ("--engine fast", "unknown --engine"),
        ("--device tpu", "unknown --device"),
        ("--weights missing.safetensors", "cannot read missing.safetensors"),
        ("--weights style.png", "style.png"),
        ("--network vgg19 --content-taps relu9_1", "did you mean 'relu"),
    ],
)
def test_settings_that_are_no_good(folder: Path, settings: str, said: str) -> None:
    refused(folder, said, "content.png", "style.png", "-o", "new.png", *SMALL, *settings.split())


def test_a_gpu_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ("content.png", "style.png", "-o", "new.png", *SMALL)
    refused(folder, "no device cuda", *words, "--device", "cuda")


def test_weights_that_are_not_here_name_the_command_that_gets_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitbrush.weights.loading.find_default", lambda name: None)
    words = ("content.png", "style.png", "-o", "new.png", "--network", "quicknet")
    refused(folder, "bitbrush weights pull quicknet", *words)


def test_too_little_memory_names_the_size_that_fits(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitbrush.style.memory.available_memory", lambda: 2e9)
    words = ("content.png", "style.png", "-o", "new.png", *SMALL, "--size", "4000")
    refused(folder, r"GB are free; --size \d+ would fit", *words)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(folder: Path) -> None:
    (folder / "album").chmod(0o500)
    words = ("content.png", "style.png", "-o", "album/new.png", *SMALL)
    refused(folder, "cannot be written to", *words)


def test_a_full_disk_at_the_end_keeps_the_older_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bitbrush.atomic.os.fsync", full)
    refused(folder, "No space left", "content.png", "style.png", "-o", "out.png", *SMALL)


def test_a_failure_of_ours_is_code_1_and_keeps_the_older_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    monkeypatch.setattr(ScalePainter, "advance", lambda self: 1 / 0)
    result = paint("content.png", "style.png", "-o", "out.png", *SMALL)
    assert result.exit_code == 1 and "ZeroDivisionError" in result.stderr
    assert result.stderr.count("\n") == 1 and contents(folder) == before


@pytest.mark.parametrize("first_bad", [2, 3, 4])
def test_a_loss_that_is_no_number_ends_with_the_last_good_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch, first_bad: int
) -> None:
    # Two scales of 2 steps each: step 3 is the first of its scale.
    words = ("content.png", "style.png", *SMALL, "--min-size", "32", "--save-every", "1")
    original, count = ScalePainter._loss_and_gradient, 0
    save, saved = Run._save, b""

    def failing(self: ScalePainter) -> Any:
        nonlocal count
        count += 1
        if count == first_bad:
            raise self._failure({"style/stem": float("nan"), "tv": 1.0})
        return original(self)

    def saving(self: Run, step: Any, picture: bool) -> None:
        nonlocal saved
        save(self, step, picture)
        saved = pixels("new.png")

    monkeypatch.setattr(ScalePainter, "_loss_and_gradient", failing)
    monkeypatch.setattr(Run, "_save", saving)
    result = paint(*words, "-o", "new.png", "--preserve-colours", "luminance")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "style/stem" in result.stderr and "last good picture is new.png" in result.stderr
    metadata = read_metadata("new.png")
    assert metadata["steps"] == 4 and metadata["steps_done"] < 4
    assert pixels("new.png") == saved != pixels("content.png")
    assert not (folder / "new.png.checkpoint").exists()


def test_without_a_good_picture_none_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: ScalePainter) -> Any:
        raise self._failure({"tv": float("inf")})

    monkeypatch.setattr(ScalePainter, "_loss_and_gradient", failing)
    refused(folder, "no number at step 1", "content.png", "style.png", "-o", "out.png", *SMALL)


def test_weights_beyond_all_floats_are_such_a_failure(folder: Path) -> None:
    words = ("content.png", "style.png", "-o", "new.png", *SMALL, "--style-weight", "1e300")
    refused(folder, "infinite or no number", *words)
