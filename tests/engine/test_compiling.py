"""Kernels compiled ahead, by several processes, and who is told of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bitbrush.engine import compiling, first_use
from bitbrush.engine import kernels as defined
from bitbrush.engine.compiling import compile_missing, missing_kernels
from bitbrush.engine.kernel import Kernel
from bitbrush.engine.kernels import PACK, ROUND
from bitbrush.engine.machine_code import MachineCode


class Compiled:
    """What a kernel is to those who have it compiled."""

    module, record = "", ()

    def __init__(self, name: str, ready: bool = False) -> None:
        self.name = name
        self.is_ready = ready
        self.here = False

    def compile(self) -> None:
        self.here = self.is_ready = True


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    some: list[Any] = [Compiled(f"kernel{number}", number == 0) for number in range(9)]
    monkeypatch.setattr(defined, "KERNELS", some)
    monkeypatch.setattr(compiling, "cache_folder", lambda: tmp_path)
    return some


def helpers(monkeypatch: pytest.MonkeyPatch, kernels: list[Any], fail_after: int) -> list[Any]:
    """Processes in place of real ones, which end after so many kernels; returns those started."""
    started: list[Any] = []
    by_name = {kernel.name: kernel for kernel in kernels}

    class Process:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(self)
            self.stdin = self.stdout = self
            self.task = ""
            self.left = fail_after
            self.killed = self.waited = False

        def write(self, task: str) -> None:
            self.task = task

        def flush(self) -> None: ...

        def readline(self) -> str:
            if self.left == 0:
                return ""
            self.left -= 1
            by_name[json.loads(self.task)["name"]].is_ready = True
            return "\n"

        def kill(self) -> None:
            self.killed = True

        def communicate(self) -> None:
            self.waited = True

    monkeypatch.setattr(subprocess, "Popen", Process)
    return started


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (2, 2), (64, compiling.MOST)])
def test_others_compile_all(
    kernels: list[Any], monkeypatch: pytest.MonkeyPatch, cores: int, processes: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    started = helpers(monkeypatch, kernels, 100)
    told: list[int] = []
    compile_missing(told.append)
    assert told == list(range(1, 9)) and not missing_kernels()
    assert not any(kernel.here for kernel in kernels)
    assert len(started) == processes
    assert all(process.killed and process.waited for process in started)


@pytest.mark.parametrize("fail_after", [0, 3])
def test_what_the_others_fail_at_is_compiled_here(
    kernels: list[Any], monkeypatch: pytest.MonkeyPatch, fail_after: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    helpers(monkeypatch, kernels, fail_after)
    told: list[int] = []
    compile_missing(told.append)
    assert told == list(range(1, 9)) and not missing_kernels()
    assert sum(kernel.here for kernel in kernels) == 8 - 2 * fail_after


def test_no_process_can_be_started(kernels: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    compile_missing(lambda done: None)
    assert not missing_kernels() and all(kernel.here for kernel in kernels[1:])


def test_who_is_interrupted_leaves_nobody_at_work(
    kernels: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = helpers(monkeypatch, kernels, 2)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_missing(interrupt)
    assert started and all(process.killed and process.waited for process in started)


def test_another_process_compiles_for_the_cache(tmp_path: Path) -> None:
    told: list[int] = []
    compiling._compile_elsewhere((PACK, ROUND), tmp_path, told.append)
    assert told == [1, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"pack.kernel", "round_planes.kernel"}
    assert all(MachineCode.from_bytes(path.read_bytes()) for path in tmp_path.iterdir())


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
