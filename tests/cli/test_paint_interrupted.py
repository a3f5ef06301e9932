"""An interrupted painting: what is kept, and that resuming gives the same picture to the bit."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from bitbrush.cli import main, paint  # noqa: F401 - main gathers the commands
from bitbrush.cli.app import app

SOURCE = Path(__file__).parents[2] / "src"
STEPS = 16
# Two scales, 32 and 64 px, so that a painting is interrupted in either.
SETTINGS = ("--size", "64", "--min-size", "32", "--steps", str(STEPS), "--weights", "none")
ONE_THREAD = ("--threads", "1")


def run(folder: Path, *arguments: str, name: str = "out.png") -> Any:
    words = ["paint", str(folder / "content.png"), str(folder / "style.png")]
    words += ["-o", str(folder / name), *SETTINGS, *arguments]
    return CliRunner().invoke(app, words)


def make_pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name, size in (("content", 64), ("style", 40)):
        pixels = random.integers(0, 255, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")


def at_step(number: int, act: Callable[[], object]) -> pytest.MonkeyPatch:
    """Until undone, `act` is called while that step of a painting is under way."""
    patch = pytest.MonkeyPatch()
    show = paint._show

    def acting(bar: Any, step: Any) -> None:
        show(bar, step)
        if step.done == number:
            act()

    patch.setattr(paint, "_show", acting)
    return patch


def interrupt(folder: Path, number: int, step: int, *arguments: str) -> Any:
    patch = at_step(step, lambda: signal.raise_signal(number))
    try:
        return run(folder, *arguments)
    finally:
        patch.undo()


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures and the painting `reference.png`, never interrupted."""
    folder = tmp_path_factory.mktemp("painted")
    make_pictures(folder)
    result = run(folder, *ONE_THREAD, name="reference.png")
    assert result.exit_code == 0, result.stderr
    assert len(list(folder.iterdir())) == 3
    return folder


@pytest.fixture(scope="module")
def stopped(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, stopped by Ctrl-C at the fifth step."""
    folder = tmp_path_factory.mktemp("stopped")
    shutil.copytree(painted, folder, dirs_exist_ok=True)
    result = interrupt(folder, signal.SIGINT, 5, *ONE_THREAD)
    assert result.exit_code == 130
    return folder


@pytest.fixture
def folder(stopped: Path, tmp_path: Path) -> Path:
    """A copy of the stopped painting to do things to."""
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    return tmp_path


def is_reference(folder: Path) -> bool:
    """Whether out.png has the bytes of reference.png, and nothing else is left behind."""
    same = (folder / "out.png").read_bytes() == (folder / "reference.png").read_bytes()
    names = sorted(path.name for path in folder.iterdir())
    return same and names == ["content.png", "out.png", "reference.png", "style.png"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_process_that_was_ended_is_resumed_to_the_same_picture(
    painted: Path, tmp_path: Path, number: int, code: int
) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    words = ["paint", "content.png", "style.png", "-o", "out.png", *SETTINGS, *ONE_THREAD]
    process = subprocess.Popen(
        [sys.executable, "-m", "bitbrush", *words, "--save-every", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 120
    while not (tmp_path / "out.png").exists() and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    said = [line for line in error.splitlines() if not line.startswith("compiling kernels")]
    assert len(said) == (number != signal.SIGKILL), error
    assert (tmp_path / "out.png.checkpoint").exists()
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (64, 64)
    result = run(tmp_path, *ONE_THREAD, "--resume")
    assert result.exit_code == 0 and "resuming at step" in result.stderr
    assert is_reference(tmp_path)


@pytest.mark.parametrize("step", [3, 12])
def test_ctrl_c_keeps_picture_and_checkpoint(painted: Path, tmp_path: Path, step: int) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    result = interrupt(tmp_path, signal.SIGINT, step, *ONE_THREAD)
    assert result.exit_code == 130 and result.stdout == ""
    assert result.stderr.startswith("bitbrush: interrupted; ") and "--resume" in result.stderr
    assert result.stderr.count("\n") == 1
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (64, 64)
    # One thread is taken from the checkpoint, though the machine may have more.
    again = run(tmp_path, "--resume", "--save-every", "2")
    assert again.exit_code == 0 and f"resuming at step {step}" in again.stderr
    with Image.open(tmp_path / "out.png") as ours, Image.open(tmp_path / "reference.png") as whole:
        assert ours.tobytes() == whole.tobytes()


def test_sigterm_does_the_same(painted: Path, tmp_path: Path) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    result = interrupt(tmp_path, signal.SIGTERM, 3, *ONE_THREAD)
    assert result.exit_code == 143 and result.stderr.startswith("bitbrush: terminated; ")
    assert run(tmp_path, *ONE_THREAD, "--resume").exit_code == 0
    assert is_reference(tmp_path)


def test_a_signal_at_the_last_step_comes_too_late(painted: Path, tmp_path: Path) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    assert interrupt(tmp_path, signal.SIGINT, STEPS, *ONE_THREAD).exit_code == 0
    assert is_reference(tmp_path)


def test_a_second_ctrl_c_does_not_wait(painted: Path, tmp_path: Path) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)

    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    patch = at_step(2, twice)
    try:
        assert run(tmp_path, *ONE_THREAD).exit_code == 130
    finally:
        patch.undo()
    assert not (tmp_path / "out.png").exists() and len(list(tmp_path.iterdir())) == 3


def test_ctrl_c_while_loading_leaves_nothing(
    painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    (tmp_path / "out.png").write_bytes(b"older")
    monkeypatch.setattr(
        "bitbrush.style.paint.load_network", lambda *a, **k: signal.raise_signal(signal.SIGINT)
    )
    result = run(tmp_path)
    assert (result.exit_code, result.stderr) == (130, "bitbrush: interrupted\n")
    assert (tmp_path / "out.png").read_bytes() == b"older" and len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(("seconds", "count"), [(0.0, STEPS - 1), (3600.0, 0)])
def test_checkpoints_are_written_by_time_unless_by_steps(
    painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, count: int
) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    seen = []
    monkeypatch.setattr(paint, "CHECKPOINT_SECONDS", seconds)
    monkeypatch.setattr(paint, "CHECKPOINT_SHARE", math.inf)
    save = paint.Run._save

    def saving(self: paint.Run, step: Any, picture: bool) -> None:
        save(self, step, picture)
        assert self.checkpoint.exists()
        seen.append((step.done, picture))

    monkeypatch.setattr(paint.Run, "_save", saving)
    assert run(tmp_path, *ONE_THREAD).exit_code == 0
    assert len(seen) == count and not any(picture for _, picture in seen)
    seen.clear()
    assert run(tmp_path, *ONE_THREAD, "--save-every", "5").exit_code == 0
    assert seen == [(5, True), (10, True), (15, True)]
    assert is_reference(tmp_path)


def test_the_usual_time_between_checkpoints_is_ten_seconds() -> None:
    assert paint.CHECKPOINT_SECONDS == 10


def test_resuming_without_a_checkpoint_begins_anew_and_says_so(
    painted: Path, tmp_path: Path
) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    result = run(tmp_path, *ONE_THREAD, "--resume")
    assert result.exit_code == 0 and "beginning anew" in result.stderr
    assert is_reference(tmp_path)


def test_resuming_what_is_finished_does_nothing(painted: Path, tmp_path: Path) -> None:
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    output = tmp_path / "reference.png"
    os.utime(output, ns=(1, 1))
    result = run(tmp_path, "--resume", name=output.name)
    assert (result.exit_code, result.stdout) == (0, "") and "finished" in result.stderr
    other = run(tmp_path, "--resume", "--seed", "1", name=output.name)
    assert other.exit_code == 2 and "other settings" in other.stderr
    assert output.stat().st_mtime_ns == 1 and len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--style-weight", "2"), "style_weight 1.0 -> 2.0"),
        (("--seed", "1"), "seed 0 -> 1"),
        (("--threads", "2"), "threads 1 -> 2"),
        (("--init", "noise"), "init content -> noise"),
    ],
)
def test_resuming_with_other_settings_is_refused(
    folder: Path, change: tuple[str, ...], said: str
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = run(folder, *change, "--resume")
    assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_resuming_with_another_picture_is_refused(folder: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(folder / "content.png")
    result = run(folder, "--resume")
    assert result.exit_code == 2 and "content" in result.stderr


def damage_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def damage_metadata(path: Path) -> None:
    save_file(load_file(path), path, {"format": "bitbrush-checkpoint-1", "run": "{}"})


@pytest.mark.parametrize(
    "damage",
    [
        damage_bit,
        damage_metadata,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x89PNG" * 100),
    ],
)
def test_a_damaged_checkpoint_is_refused(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder / "out.png.checkpoint")
    result = run(folder, "--resume")
    assert result.exit_code == 2 and "damaged" in result.stderr
    assert result.stderr.count("\n") == 1
    # Without --resume, the painting is made again.
    assert run(folder, *ONE_THREAD).exit_code == 0
    assert is_reference(folder)


def test_what_a_kill_in_the_middle_of_writing_left_is_removed(folder: Path) -> None:
    (folder / "out.png.checkpointab_d1fgh.part").write_bytes(b"half")
    (folder / ".out.png.0123abcd.part").write_bytes(b"half")
    assert run(folder, *ONE_THREAD, "--resume").exit_code == 0
    assert is_reference(folder)


def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path.name for path in folder.iterdir())

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("bitbrush.style.checkpoint.save_file", full)
        result = run(folder, "--resume", "--save-every", "2")
    assert result.exit_code == 2 and "No space left" in result.stderr.splitlines()[-1]
    assert sorted(path.name for path in folder.iterdir()) == before
    assert run(folder, *ONE_THREAD, "--resume").exit_code == 0
    assert is_reference(folder)


def test_a_painting_that_was_begun_is_not_begun_anew_by_who_forgets_to_resume(
    folder: Path,
) -> None:
    kept = (folder / "out.png.checkpoint").read_bytes()
    result = run(folder, *ONE_THREAD)
    assert result.exit_code == 2 and "continue it with --resume" in result.stderr
    assert (folder / "out.png.checkpoint").read_bytes() == kept
    # Another painting may take its place, and says so.
    result = run(folder, *ONE_THREAD, "--seed", "3")
    assert result.exit_code == 0 and "of another painting" in result.stderr
    assert not (folder / "out.png.checkpoint").exists()
