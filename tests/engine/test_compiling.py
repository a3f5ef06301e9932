"""Kernels compiled ahead, by several processes, and who is told of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bitbrush.engine import compiling, first_use, kernel_cache
from bitbrush.engine import kernels as defined
from bitbrush.engine.compiling import compile_missing, missing_kernels
from bitbrush.engine.kernel import Kernel


class Compiled:
    """What a kernel is to those who have it compiled."""

    def __init__(self, name: str, ready: bool = False) -> None:
        self.name = name
        self.is_ready = ready

    def compile(self) -> None:
        self.is_ready = True


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    some: list[Any] = [Compiled(f"kernel{number}", number == 0) for number in range(9)]
    monkeypatch.setattr(defined, "KERNELS", some)
    return some


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Processes that are asked for, none of which does anything."""
    asked: list[Any] = []

    class Process:
        def __init__(self, command: list[str], **_: object) -> None:
            asked.append(self)
            self.command = command
            self.ended = False
            self.pid = 1

        def kill(self) -> None:
            self.ended = True

        def wait(self) -> None:
            assert self.ended

    monkeypatch.setattr(subprocess, "Popen", Process)
    return asked


@pytest.mark.parametrize(("cores", "processes"), [(1, 0), (2, 1), (3, 2), (64, 2)])
def test_whatever_the_others_do_all_are_compiled(
    kernels: list[Any],
    helpers: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    processes: int,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    told: list[int] = []
    compile_missing(told.append)
    assert told == list(range(1, 9)) and not missing_kernels()
    assert len(helpers) == processes and all(helper.ended for helper in helpers)


def test_no_process_can_be_started(kernels: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no more processes")

    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    compile_missing(lambda done: None)
    assert not missing_kernels()


def test_another_process_compiles_for_the_cache(tmp_path: Path) -> None:
    own = {**os.environ, "BITBRUSH_CACHE": str(tmp_path)}
    task = f'[{list(sys.path)!r}, ["pack", "round_planes"]]'.replace("'", '"')
    subprocess.run(
        [sys.executable, "-c", compiling._HELPER, task], env=own, check=True, timeout=120
    )
    folder = tmp_path / "kernels" / kernel_cache.identity()
    assert {path.name for path in folder.iterdir()} == {"pack.kernel", "round_planes.kernel"}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left over"


def test_every_kernel_is_known() -> None:
    known = {kernel.name for kernel in compiling.every_kernel()}
    assert {"pack", "winograd", "stem", "finish_moments"} <= known


def test_who_asked_is_told_once_before_a_kernel_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_use, "_listeners", [])
    monkeypatch.setattr("bitbrush.engine.kernel.is_kept", lambda name: name == "kept")
    monkeypatch.setattr(Kernel, "_loaded", lambda kernel: 1 if kernel.name == "kept" else None)
    monkeypatch.setattr(Kernel, "_compiled", lambda kernel: 1)
    told: list[str] = []
    # A listener may compile others, of which nobody is told again.
    first_use.before_compiling(lambda: (told.append("now"), Kernel("", "another", "").compile()))
    Kernel("", "kept", "").compile()
    assert not told
    Kernel("", "missing", "").compile()
    assert told == ["now"]
