"""The folder of compiled kernels: only the user's own is trusted, and only what is whole in it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import pytest
from llvmlite import binding

from bitbrush.engine import first_use, kernel_cache
from bitbrush.engine.kernel import HEADER, Kernel
from bitbrush.engine.kernel_cache import (
    cache_folder,
    identity,
    is_kept,
    keep,
    kept,
    why_no_cache,
)
from bitbrush.engine.kernels import PACK
from bitbrush.engine.machine_code import MachineCode

posix = pytest.mark.skipif(os.name != "posix", reason="folders have no such modes")


def _forget() -> None:
    for remembered in (cache_folder, why_no_cache):
        remembered.cache_clear()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of one's own, and nobody who would fill it when told of compiling."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BITBRUSH_CACHE", str(folder))
    monkeypatch.setattr(first_use, "_listeners", [])
    _forget()
    yield folder
    monkeypatch.undo()
    _forget()


def small(arguments: object) -> None:
    """A kernel that does nothing, but is compiled as fast as one can be."""
    numba.carray(arguments, 1)[0].value = 1


def kernel() -> Kernel:
    return Kernel(__name__, "small", "value")


def run_small() -> None:
    kernel()(1, value=3)


@posix
def test_the_folder_is_the_user_s_alone(root: Path) -> None:
    folder = cache_folder()
    assert folder == root / "kernels" / identity() and why_no_cache() is None
    for own in (folder, folder.parent):
        assert own.stat().st_mode & 0o777 == 0o700 and own.stat().st_uid == os.getuid()


def test_a_kernel_is_kept_and_found_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_kept("small")
    run_small()
    assert is_kept("small") and not is_kept("smal") and not is_kept("mall")
    folder = cache_folder()
    assert folder is not None
    (file,) = folder.iterdir()
    before = file.stat().st_mtime_ns
    monkeypatch.setattr(Kernel, "_build", None)
    again = kernel()
    assert again.is_ready
    again(1, value=3)
    assert file.stat().st_mtime_ns == before


def test_what_is_kept_runs_without_the_compiler(root: Path) -> None:
    Kernel(".pixels", "pack", " ".join(PACK.fields[len(HEADER) :])).compile()
    program = (
        "import sys, torch; from bitbrush.engine.launch import pack_map;"
        "from bitbrush.engine.packing import PackedMap;"
        "packed = PackedMap.empty((1, 64, 1, 1)); pack_map(-torch.ones(1, 64, 1, 1), packed);"
        "print(int(packed.words), 'numba' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.split() == ["0", "False"], ran.stderr


def failing(arguments: object) -> None:
    """A kernel that raises what no kernel may."""
    if numba.carray(arguments, 1)[0].value < 0:
        raise ValueError("negative")


@posix
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("kernel(1, value=1); print(list(numbers(2)))", (0, "[0, 1]", "")),
        ("kernel(1, value=-1)", (-signal.SIGABRT, "", "bitbrush: a kernel has failed")),
    ],
    ids=["Numba has its own functions", "a kernel has only one"],
)
def test_what_loaded_kernels_refer_to(
    root: Path, after: str, expected: tuple[int, str, str]
) -> None:
    Kernel(__name__, "failing", "value").compile()
    program = f"""
from bitbrush.engine.kernel import Kernel
kernel = Kernel({__name__!r}, "failing", "value")
assert kernel.is_ready
kernel.compile()
import numba
@numba.njit
def numbers(count):
    for number in range(count):
        yield number
{after}
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout.strip(), ran.stderr.strip()) == expected


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
    assert not list(root.parent.rglob("*.kernel")), "kernels are in memory only"


@posix
def test_a_link_among_the_files_is_refused(root: Path) -> None:
    folder = cache_folder()
    assert folder is not None
    (folder / "more").symlink_to(root.parent)
    _forget()
    assert cache_folder() is None and "more is a link" in str(why_no_cache())


def test_a_file_that_gets_another_name_meanwhile_does_no_harm(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another process that keeps a kernel has one."""
    listed = Path.rglob

    def with_one_more(folder: Path, pattern: str) -> Iterator[Path]:
        yield from listed(folder, pattern)
        if pattern == "*":
            yield folder / ".pack.kernel.0123abcd.part"

    monkeypatch.setattr(Path, "rglob", with_one_more)
    assert cache_folder() is not None and why_no_cache() is None


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


def _zeros(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(64) + data[len(data) // 2 + 64 :]


@pytest.mark.parametrize(
    "damage", [_zeros, lambda data: data[:100], lambda data: b"", lambda data: b"nothing of use"]
)
def test_damaged_files_are_compiled_anew(root: Path, damage: Callable[[bytes], bytes]) -> None:
    run_small()
    folder = cache_folder()
    assert folder is not None
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert not is_kept("small")
    run_small()
    assert is_kept("small"), "what was damaged has been replaced"


def test_what_does_not_hold_the_kernel_is_compiled_anew(root: Path) -> None:
    run_small()
    code = kept("small")
    assert code is not None
    keep("small", MachineCode("another", code.object_file))
    run_small()
    again = kept("small")
    assert again is not None and again.symbol != "another"


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
        patch.setattr(kernel_cache, "version", lambda package: "0.0.0")
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
