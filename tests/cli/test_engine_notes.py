"""What is said of the engine before a network runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bitbrush.cli import engine_notes
from bitbrush.cli.app import options
from bitbrush.cli.engine_notes import prepare_engine
from bitbrush.engine import kernel_cache
from bitbrush.engine import kernels as defined
from bitbrush.engine.freeze import freeze
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.vgg import vgg19


class Kernel:
    """One that is compiled in no time."""

    def __init__(self, ready: bool) -> None:
        self.is_ready = ready

    def compile(self) -> None:
        self.is_ready = True


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    some = [Kernel(True), Kernel(False), Kernel(False)]
    monkeypatch.setattr(defined, "KERNELS", some)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    return some


@pytest.fixture
def quiet() -> Iterator[None]:
    options.quiet = True
    yield
    options.quiet = False


def network(packed: bool) -> Any:
    small = QuickBrush(stem=16, widths=(64,), blocks=(1,)).settle()
    return freeze(small) if packed else small


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_notes, "find_spec", lambda name: None)


def test_kernels_are_compiled_once(
    kernels: list[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_cache, "cache_folder", lambda: SimpleNamespace())
    prepare_engine(network(packed=True))
    assert "compiling kernels for this CPU, once" in capsys.readouterr().err
    assert all(kernel.is_ready for kernel in kernels)
    prepare_engine(network(packed=True))
    assert capsys.readouterr().err == ""


def test_kernels_that_cannot_be_kept_are_not_all_compiled(
    kernels: list[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_cache, "cache_folder", lambda: None)
    monkeypatch.setattr(kernel_cache, "why_no_cache", lambda: "others may write to /x")
    prepare_engine(network(packed=True))
    assert "cannot be kept: others may write to /x" in capsys.readouterr().err
    assert not all(kernel.is_ready for kernel in kernels)


def test_quiet(
    quiet: None,
    kernels: list[Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare_engine(network(packed=True))
    without_numba(monkeypatch)
    prepare_engine(network(packed=False))
    assert capsys.readouterr().err == ""


def test_a_float_network_needs_no_kernels(kernels: list[Any]) -> None:
    prepare_engine(network(packed=False))
    assert not all(kernel.is_ready for kernel in kernels)


def test_without_numba(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_engine(network(packed=False))
    assert capsys.readouterr().err == "", "with it, there is another reason"
    without_numba(monkeypatch)
    prepare_engine(network(packed=False))
    said = capsys.readouterr().err
    assert said.startswith("Numba is not installed") and said.count("\n") == 1
    prepare_engine(network(packed=False), "float")
    prepare_engine(vgg19())
    assert capsys.readouterr().err == "", "nothing is missed"
