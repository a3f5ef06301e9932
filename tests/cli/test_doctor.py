"""`bitbrush doctor`: what it tells of this machine, with Numba and without."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from bitbrush.cli import doctor
from bitbrush.cli.app import app
from bitbrush.engine import kernel_cache, kernels, runtime
from bitbrush.engine.kernels import CONVOLVE, PACK


@pytest.fixture(autouse=True)
def few_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compiled for its instructions, the first time."""
    monkeypatch.setattr(kernels, "KERNELS", (PACK, CONVOLVE))


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["doctor", *arguments])
    assert result.exit_code == 0, result.output
    return result


def report(*arguments: str) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(run("--json", *arguments).stdout)
    return held


def test_report() -> None:
    found = report()
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["python"] == sys.version.split()[0]
    assert all(found["versions"].values())
    assert found["engine"] == "packed" and found["missing"] == []
    assert found["threads"]["count"] == torch.get_num_threads()
    assert found["threads"]["pool"] == runtime.threading_layer()
    assert found["threads"]["openmp"] == runtime.openmp_library()
    assert found["precision"]["chosen"] in ("bf16", "int8", "float32")
    assert found["kernels"] == [] and found["cache"]["of"] == 2


def test_kernels_where_they_are_asked_for() -> None:
    found = report("--kernels")
    assert [kernel["name"] for kernel in found["kernels"]] == ["pack", "convolve"]
    assert all(sum(kernel["vectors"].values()) for kernel in found["kernels"])
    (convolve,) = [k for k in found["kernels"] if k["name"] == "convolve"]
    assert convolve["counting"], "bits are counted somehow"


def test_text() -> None:
    result = run()
    for word in ("numba", "CPU", "precision", "kernel cache"):
        assert word in result.stdout, word
    assert "convolve" not in result.stdout and "reading" not in result.stderr
    result = run("--kernels")
    assert "convolve" in result.stdout and "counted with" in result.stdout
    assert "reading kernels" in result.stderr
    assert "reading" not in run("--kernels", "--quiet").stderr


def test_why_this_precision() -> None:
    assert "amx-bf16" in doctor._why("bf16", frozenset({"amx-bf16", "avx2"}))
    assert "avx512vnni" in doctor._why("int8", frozenset({"avx512vnni", "avx2"}))
    assert "avx2" in doctor._why("int8", frozenset({"avx2"}))
    assert "no unit" in doctor._why("float32", frozenset({"ssse3"}))


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    def spec(name: str) -> Any:
        return None if name in ("numba", "llvmlite") else find_spec(name)

    monkeypatch.setattr(doctor, "find_spec", spec)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    found = report()
    assert found["engine"] == "float" and found["kernels"] == []
    assert found["versions"]["numba"] is None
    assert "pip install numba" in found["missing"][0]
    assert "missing" in run().stdout and "not installed" in run().stdout


def test_a_numba_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    there = find_spec("numba")
    monkeypatch.setattr(doctor, "find_spec", lambda name: there)
    monkeypatch.setitem(sys.modules, "numba", None)
    found = report()
    assert found["engine"] == "float"
    assert "can be imported: import of numba halted" in found["missing"][0]


def test_no_cache_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("BITBRUSH_CACHE", str(blocked / "cache"))
    for remembered in (kernel_cache.cache_folder, kernel_cache.why_no_cache):
        remembered.cache_clear()
    try:
        found = report()["cache"]
        assert found["folder"] is None and "file" in found["why_not"]
        assert "every process compiles its own" in run().stdout
    finally:
        monkeypatch.undo()
        for remembered in (kernel_cache.cache_folder, kernel_cache.why_no_cache):
            remembered.cache_clear()


X86 = """
\t.text
\t.globl\tpack
pack:
\tvmovdqu64\t(%rdi), %zmm0
\tvpopcntd\t%zmm0, %zmm1
\tvextracti64x4\t$1, %zmm1, %ymm2
\tvpaddd\t%ymm1, %ymm2, %ymm1
\tvmovd\t%xmm1, %eax
\tretq
.Lzmm0:
"""

ARM = """
_pack:
\tldr\tq0, [x0]
\tcnt\tv0.16b, v0.16b
\tuaddlp\tv0.8h, v0.16b
\tret
"""


def test_instructions_are_counted() -> None:
    assert doctor.instructions(X86) == {
        "vectors": {"512-bit": 3, "256-bit": 1, "128-bit": 1},
        "counting": ["vpopcntd"],
    }
    assert doctor.instructions(ARM) == {
        "vectors": {"512-bit": 0, "256-bit": 0, "128-bit": 2},
        "counting": ["cnt"],
    }
