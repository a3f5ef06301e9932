"""Exit codes and error lines of the command line, on an application with commands made to fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bitbrush import __version__
from bitbrush.cli import progress as progress_module
from bitbrush.cli.app import Group, Terminated, options
from bitbrush.cli.progress import progress
from bitbrush.errors import InputError, PaintingError

SOURCE = Path(__file__).parents[2] / "src"


def run_failing(failure: Callable[[], object], *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of an application whose command calls `failure`."""
    app = typer.Typer(cls=Group, add_completion=False, pretty_exceptions_enable=False)
    below = typer.Typer()
    app.add_typer(below, name="below")

    @app.callback()
    def top() -> None: ...

    @app.command()
    def work(size: int = 8) -> None:
        failure()

    @below.command()
    def deep() -> None:
        failure()

    result = CliRunner().invoke(app, list(arguments) or ["work"])
    return result.exit_code, result.stderr


def raising(error: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no such thing;\n try another"), 2, "bitbrush: no such thing; try another\n"),
        (PaintingError("the loss is no number"), 1, "bitbrush: the loss is no number\n"),
        (KeyboardInterrupt(), 130, "bitbrush: interrupted\n"),
        (Terminated(), 143, "bitbrush: terminated\n"),
        (OSError(28, "No space left on device"), 2, "bitbrush: No space left on device\n"),
        (
            PermissionError(13, "Permission denied", "a.png"),
            2,
            "bitbrush: Permission denied: a.png\n",
        ),
        (MemoryError(), 2, "bitbrush: not enough memory; try a smaller --size\n"),
        (
            ZeroDivisionError("by zero"),
            1,
            "bitbrush: unexpected ZeroDivisionError: by zero; "
            "run again with --debug for the traceback\n",
        ),
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
        (typer.Exit(3), 3, ""),
    ],
)
def test_every_failure_is_one_line_and_its_code(error: BaseException, code: int, line: str) -> None:
    assert run_failing(raising(error)) == (code, line)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bogus"], "--bogus"),
        (["wrok"], "work"),
        (["work", "--size", "big"], "--size"),
        (["work", "--size"], "--size"),
        (["work", "surplus"], "surplus"),
        (["below"], "command"),
    ],
)
def test_a_usage_error_is_one_line_and_code_2(arguments: list[str], said: str) -> None:
    code, line = run_failing(lambda: None, *arguments)
    assert code == 2
    assert line.startswith("bitbrush: ") and said in line and line.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--debug", "work"], ["work", "--debug"], ["below", "deep", "--debug"]]
)
def test_debug_shows_the_traceback_wherever_it_is_said(arguments: list[str]) -> None:
    code, text = run_failing(raising(InputError("no")), *arguments)
    assert code == 2
    assert "Traceback" in text and text.endswith("bitbrush: no\n")


def test_options_hold_for_one_run_only() -> None:
    seen: list[bool] = []
    for arguments in (["--quiet", "work"], ["work"], ["work", "--quiet"]):
        assert run_failing(lambda: seen.append(options.quiet), *arguments) == (0, "")
    assert seen == [True, False, True]


def bitbrush(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bitbrush", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command, env=environment, text=True, stderr=subprocess.PIPE, **settings
    )


def test_version_is_accepted_after_a_command() -> None:
    for arguments in (["--version"], ["show", "--version"]):
        result = bitbrush(*arguments, stdout=subprocess.PIPE)
        assert (result.returncode, result.stdout) == (0, f"bitbrush {__version__}\n")


def test_help_does_not_import_torch() -> None:
    # A second for `bitbrush --help` is possible only without torch, which takes longer alone.
    code = (
        "import sys\n"
        "from bitbrush.cli import main\n"
        "sys.argv = ['bitbrush', '--help']\n"
        "try:\n"
        "    main.main()\n"
        "finally:\n"
        "    heavy = {'torch', 'numpy', 'numba', 'PIL'} & sys.modules.keys()\n"
        "    assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "Usage: bitbrush" in result.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_program_in_order(number: int, code: int) -> None:
    program = (
        "import sys, time\n"
        "from bitbrush.cli.app import app\n"
        "from bitbrush.cli.main import main\n"
        "@app.command()\n"
        "def wait():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('cleaned up')\n"
        "sys.argv = ['bitbrush', 'wait']\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "cleaned up\n")
    assert error == f"bitbrush: {'interrupted' if code == 130 else 'terminated'}\n"


def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        result = bitbrush("--version", stdout=full)
    assert (result.returncode, result.stderr) == (2, "bitbrush: No space left on device\n")


def test_a_closed_pipe_is_quiet() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        result = bitbrush("--version", stdout=closed)
    assert (result.returncode, result.stderr) == (0, "")


class OutOfMemoryError(RuntimeError):
    """As torch calls its own, of any device."""


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
    ],
)
def test_no_memory_is_said_as_such(error: Exception) -> None:
    def fail() -> None:
        raise error

    assert run_failing(fail) == (2, "bitbrush: not enough memory; try a smaller --size\n")


def test_progress_is_one_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress("painting", 4) as shown:
        shown.update(3, "loss 0.5")
    text = capsys.readouterr().err
    assert text.startswith("painting: 75 %, ") and text.endswith("loss 0.5\n")
    monkeypatch.setattr(progress_module.options, "quiet", True)
    with progress("painting", 4) as shown:
        shown.update(3)
    assert capsys.readouterr().err == ""


def test_a_log_is_told_now_and_then_how_long_it_will_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    with progress("training", 200) as shown:
        shown.update(100, "resumed")
        for minute in range(1, 41):
            now += 60
            shown.update(100 + minute, f"loss {minute}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training: 50 %, 1:39:00 left, loss 1"
    assert lines[1] == "training: 51 %, 1:38:00 left, loss 2"
    assert lines[-1] == "training: 70 %, 2400.0 s, loss 40"
    assert len(lines) == 22  # each minute, then less and less often
    with progress("reading") as shown:
        now += 61
        shown.update(5)
    assert capsys.readouterr().err.splitlines()[0] == "reading: 0:01:01 gone"


def test_progress_is_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("painting", 4) as shown:
        shown.update(2, "loss 0.5")
    text = capsys.readouterr().err
    assert "painting" in text and "50%" in text and "loss 0.5" in text


def test_a_bar_within_a_bar_stands_below_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("tv", 4) as outer:
        with progress("compiling kernels", 2) as inner:
            inner.update(1)
            outer._display.refresh()
        outer.update(3, "a painting")
    text = capsys.readouterr().err
    assert "compiling kernels" in text
    last = text[text.rindex("75%") :]
    assert "a painting" in last and "compiling" not in last
    with progress("another", 4) as shown:
        shown.update(2)
    assert "another" in capsys.readouterr().err
