"""The folder of compiled kernels: only the user's own is trusted, and only what is whole in it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numba
import pytest
from llvmlite import binding

from bitbrush.engine import kernel_cache
from bitbrush.engine.kernel_cache import cache_folder, identity, is_kept, why_no_cache
from bitbrush.engine.runtime import Kernel

posix = pytest.mark.skipif(os.name != "posix", reason="folders have no such modes")


def _forget() -> None:
    for remembered in (cache_folder, why_no_cache, kernel_cache._drop_damaged):
        remembered.cache_clear()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of one's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BITBRUSH_CACHE", str(folder))
    _forget()
    yield folder
    monkeypatch.undo()
    _forget()


def small(arguments: object) -> None:
    """A kernel that does nothing, but is compiled as fast as one can be."""
    numba.carray(arguments, 1)[0].value = 1


def run_small() -> None:
    Kernel(small, "value")(1, value=3)


@pytest.fixture(autouse=True)
def only_our_own_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitbrush.engine.runtime.EVERY_KERNEL", [])


@posix
def test_the_folder_is_the_user_s_alone(root: Path) -> None:
    folder = cache_folder()
    assert folder == root / "kernels" / identity() and why_no_cache() is None
    for own in (folder, folder.parent):
        assert own.stat().st_mode & 0o777 == 0o700 and own.stat().st_uid == os.getuid()


def test_a_kernel_is_kept_and_found_again(root: Path) -> None:
    assert not is_kept("small")
    run_small()
    assert is_kept("small") and not is_kept("smal") and not is_kept("mall")
    folder = cache_folder()
    assert folder is not None
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb?")}
    assert before
    _forget()
    again = Kernel(small, "value")
    assert again.is_ready
    again(1, value=3)
    assert again._kept.cache_hits == 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb?")} == before


def _link(root: Path, place: Path) -> None:
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere)


def _writable(mode: int) -> Callable[[Path, Path], None]:
    def make(root: Path, place: Path) -> None:
        place.mkdir(parents=True)
        place.chmod(mode)

    return make


@posix
@pytest.mark.parametrize("below", ["kernels", f"kernels/{identity()}"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_link, "is a link"),
        (_writable(0o770), "others may write"),
        (_writable(0o707), "others may write"),
    ],
)
def test_a_folder_that_others_may_fill_is_refused(
    root: Path, make: Callable[[Path, Path], None], reason: str, below: str
) -> None:
    make(root, root / below)
    assert cache_folder() is None
    assert reason in str(why_no_cache())
    run_small()
    assert not list(root.parent.rglob("*.nb?")), "kernels are in memory only"


@posix
def test_a_link_among_the_files_is_refused(root: Path) -> None:
    folder = cache_folder()
    assert folder is not None
    (folder / "more").symlink_to(root.parent)
    _forget()
    assert cache_folder() is None and "more is a link" in str(why_no_cache())


@posix
def test_a_folder_above_that_anybody_may_change_is_refused(root: Path) -> None:
    root.mkdir()
    root.chmod(0o777)
    assert cache_folder() is None and "others may write" in str(why_no_cache())
    root.chmod(0o1777)  # sticky: nobody can move what is not theirs
    _forget()
    assert cache_folder() is not None


@posix
@pytest.mark.parametrize("whose", ["above", "own"])
def test_another_user_s_folder_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    assert cache_folder() is not None
    _forget()
    real = os.getuid()
    if whose == "above":
        monkeypatch.setattr(os, "getuid", lambda: real + 1)
        if real == 0:
            pytest.skip("what is above is root's, whom everybody trusts")
    else:
        monkeypatch.setattr(kernel_cache, "_check_above", lambda folder: None)
        monkeypatch.setattr(os, "getuid", lambda: real + 1)
    assert cache_folder() is None and "another user" in str(why_no_cache())


def test_without_a_place_to_write_kernels_run_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.delenv("BITBRUSH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    _forget()
    try:
        assert cache_folder() is None and why_no_cache()
        run_small()
    finally:
        monkeypatch.undo()
        _forget()


@pytest.mark.parametrize("damage", ["index", "data", "short", "contents", "all"])
def test_damaged_files_are_compiled_anew(root: Path, damage: str) -> None:
    run_small()
    folder = cache_folder()
    assert folder is not None
    if damage in ("index", "all"):
        next(folder.rglob("*.nbi")).write_bytes(b"\x80\x04nothing of use")
    if damage in ("data", "all"):
        data = next(folder.rglob("*.nbc"))
        whole = bytearray(data.read_bytes())
        middle = len(whole) // 2
        whole[middle : middle + 512] = bytes(512)
        data.write_bytes(whole)
    if damage == "short":
        data = next(folder.rglob("*.nbc"))
        data.write_bytes(data.read_bytes()[:100])
    if damage in ("contents", "all"):
        (folder / kernel_cache.CONTENTS).write_text("[1, 2")
    _forget()
    kernel = Kernel(small, "value")
    kernel(1, value=3)
    assert kernel._kept.cache_hits == 0
    _forget()
    again = Kernel(small, "value")
    again(1, value=3)
    assert again._kept.cache_hits == 1, "what was damaged has been replaced"


def test_what_fails_to_load_is_compiled_in_memory(root: Path) -> None:
    def make(cache: bool) -> object:
        if cache:
            raise EOFError("Ran out of input")
        return SimpleNamespace(address=1)

    assert kernel_cache.compiled(make, "any").address == 1


def test_another_cpu_or_source_has_another_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "engine"
    sources.mkdir()
    (sources / "kernels.py").write_text("a = 1\n")
    first = identity(sources)
    assert identity(sources) == first
    (sources / "kernels.py").write_text("a = 2\n")
    second = identity(sources)
    with monkeypatch.context() as patch:
        patch.setattr(binding, "get_host_cpu_name", lambda: "another-cpu")
        third = identity(sources)
    with monkeypatch.context() as patch:
        patch.setattr(numba, "__version__", "0.0.0")
        fourth = identity(sources)
    with monkeypatch.context() as patch:
        patch.setattr(kernel_cache, "cpu_features", lambda: frozenset({"neon"}))
        fifth = identity(sources)
    assert len({first, second, third, fourth, fifth}) == 5


def test_nothing_is_fetched(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    run_small()


def test_two_processes_compile_at_once(root: Path) -> None:
    program = (
        "import torch; from bitbrush.engine.kernels import PACK;"
        "from bitbrush.engine.launch import pack_map;"
        "from bitbrush.engine.packing import PackedMap;"
        "packed = PackedMap.empty((1, 64, 1, 1)); pack_map(torch.ones(1, 64, 1, 1), packed);"
        "print(int(packed.words))"
    )
    python = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen([sys.executable, "-c", program], env=python, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and output.strip() == b"-1"
    assert is_kept("pack")
