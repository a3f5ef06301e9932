"""`bitbrush doctor`: what this installation and machine paint with, and what is missing."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from .app import app
from .networks import AsJson, make_table, show
from .progress import progress

PACKAGES = ("bitbrush", "torch", "numba", "llvmlite")

FEATURES = (
    "avx2",
    "avx512f",
    "avx512bw",
    "avx512vpopcntdq",
    "avx512vnni",
    "avx512bf16",
    "amx-bf16",
    "amx-int8",
    "neon",
    "sve",
    "bf16",
)
"""Of the CPU, in LLVM's names: those that kernels and gradients are faster with."""

REGISTERS = {
    "512-bit": r"%?zmm\d",
    "256-bit": r"%?ymm\d",
    "128-bit": r"%?xmm\d|\bv\d+\.\d+[bhsd]",
}
"""How vector registers of each width are written, on x86 and on ARM."""

COUNTING = ("tdpbssd", "vpopcntd", "vpopcntq", "vpopcntb", "vpshufb", "pshufb", "popcnt", "cnt")
"""Instructions that bits are counted with, or signs multiplied, the fastest first."""


@app.command()
def doctor(
    with_kernels: Annotated[
        bool,
        typer.Option(
            "--kernels",
            help="Also show what each kernel was compiled to; takes as long as compiling them.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what this machine and installation paint with, and what is missing."""
    report = _report(with_kernels)
    if as_json:
        print(json.dumps(report))
        return
    for title, text in _lines(report):
        print(f"{title:13}{text}")
    if report["kernels"]:
        print()
        show(_table(report["kernels"]))


def _report(with_kernels: bool) -> dict[str, Any]:
    import torch

    missing: list[str] = []
    packed = _packed_engine(missing, with_kernels)
    return {
        # torch's own tells its build too, which a package's need not.
        "versions": {"python": platform.python_version()}
        | {package: _version(package) for package in PACKAGES}
        | {"torch": torch.__version__},
        "cpu": {"name": _cpu_name(), "architecture": platform.machine()} | packed.pop("cpu"),
        "threads": {
            "count": torch.get_num_threads(),
            "cores": os.cpu_count(),
        }
        | packed.pop("threads"),
        "engine": "float" if missing else "packed",
        **packed,
        "gpus": _gpus(),
        "missing": missing,
    }


def _packed_engine(missing: list[str], with_kernels: bool) -> dict[str, Any]:
    """What there is to say about packed bits; adds to `missing` why they cannot be had."""
    nothing: dict[str, Any] = {
        "cpu": {"features": None},
        "threads": {"pool": None, "openmp": None},
        "precision": {"chosen": "float32", "why": "one-bit layers are computed in floats"},
        "cache": {"folder": None, "why_not": None, "kept": [], "of": 0},
        "kernels": [],
    }
    if find_spec("numba") is None:
        missing.append("Numba, which packed bits need: pip install numba")
        return nothing
    try:
        import numba  # noqa: F401

        from ..engine.compiling import every_kernel
        from ..engine.kernel_cache import cache_folder, is_kept, why_no_cache
        from ..engine.precision import best_precision, cpu_features
        from ..engine.runtime import openmp_library, threading_layer

        kernels = every_kernel()
        compiled = list(_kernels(kernels)) if with_kernels else []
    except ImportError as error:
        missing.append(f"a Numba that can be imported: {error}")
        return nothing
    folder = cache_folder()
    kept = [kernel.name for kernel in kernels if is_kept(kernel.name)]
    features = cpu_features()
    return {
        "cpu": {"features": [name for name in FEATURES if name in features]},
        "threads": {"pool": threading_layer(), "openmp": openmp_library()},
        "precision": {"chosen": best_precision(), "why": _why(best_precision(), features)},
        "cache": {
            "folder": None if folder is None else str(folder),
            "why_not": why_no_cache(),
            "kept": kept,
            "of": len(kernels),
        },
        "kernels": compiled,
    }


def _why(precision: str, features: frozenset[str]) -> str:
    from ..engine.precision import octet_units

    if precision == "int8":
        return f"the CPU multiplies 8-bit integers: {octet_units(features)[0]}"
    if precision == "bf16":
        units = [name for name in ("amx-bf16", "avx512bf16") if name in features]
        return f"the CPU multiplies in bfloat16: {', '.join(units)}"
    return "the CPU has no unit that multiplies in bfloat16 or 8-bit integers"


def _kernels(kernels: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What each kernel was compiled to; the first time that takes compiling it."""
    with progress("reading kernels", len(kernels)) as bar:
        for done, kernel in enumerate(kernels, 1):
            yield {"name": kernel.name} | instructions(kernel.assembly())
            bar.update(done, kernel.name)


def instructions(assembly: str) -> dict[str, Any]:
    """Counts the vector instructions in a kernel's assembly.

    Returns:
        "vectors": how many instructions have registers of each width as their widest; "counting":
        the instructions among them that bits are counted with.
    """
    vectors = dict.fromkeys(REGISTERS, 0)
    counting: set[str] = set()
    for line in assembly.splitlines():
        words = line.split(maxsplit=1)
        # Labels begin the line, directives with a dot.
        if not words or not line[0].isspace() or words[0].startswith((".", "#")):
            continue
        for width, pattern in REGISTERS.items():
            if re.search(pattern, line):
                vectors[width] += 1
                break
        if words[0] in COUNTING:
            counting.add(words[0])
    return {"vectors": vectors, "counting": [name for name in COUNTING if name in counting]}


def _version(package: str) -> str | None:
    if find_spec(package) is None:
        return None
    try:
        return version(package)
    except PackageNotFoundError:
        # Run from its sources, without having been installed.
        return str(getattr(__import__(package), "__version__", None))


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            title, _, name = line.partition(":")
            if title.strip() == "model name":
                return name.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    import torch

    found = []
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        found = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(count)]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _lines(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The report but for the kernels, as titles and texts."""
    for name, number in report["versions"].items():
        yield name, number or "not installed"
    cpu, threads, cache = report["cpu"], report["threads"], report["cache"]
    yield "CPU", f"{cpu['name']} ({cpu['architecture']})"
    if cpu["features"] is not None:
        yield "features", " ".join(cpu["features"]) or "none that matter"
    yield "engine", f"{report['engine']} for networks with one-bit layers"
    yield "precision", f"{report['precision']['chosen']}: {report['precision']['why']}"
    yield "threads", f"{threads['count']} on {threads['cores']} cores"
    if threads["pool"] is not None:
        library = "" if threads["openmp"] is None else f" ({threads['openmp']})"
        yield "kernels run", f"on {threads['pool']}{library}"
    if cache["folder"] is not None:
        kept = f"{len(cache['kept'])} of {cache['of']} compiled"
        yield "kernel cache", f"{cache['folder']}: {kept}"
    elif cache["why_not"] is not None:
        yield "kernel cache", f"none, so every process compiles its own: {cache['why_not']}"
    yield "GPUs", ", ".join(report["gpus"]) or "none that torch can use"
    for what in report["missing"]:
        yield "missing", what


def _table(kernels: list[dict[str, Any]]) -> Any:
    widths = list(REGISTERS)
    titles = ["kernel", *[f"{width} instructions" for width in widths], "bits are counted with"]
    table = make_table(titles, right=range(1, 1 + len(widths)))
    for kernel in kernels:
        counts = [str(kernel["vectors"][width] or "") for width in widths]
        table.add_row(kernel["name"], *counts, " ".join(kernel["counting"]))
    return table
