"""Kernels for CPUs that can do less than this one, which can run them too."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bitbrush.engine.precision import cpu_features

NO_VECTORS = ["sse4.2", "ssse3", "popcnt", "cx16"]
AVX2 = [*NO_VECTORS, "avx", "avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt"]

SCRIPT = """
import json, sys
import torch
from bitbrush.engine import arranging, precision
from bitbrush.weights.loading import load_network

def run(engine, precision):
    network = load_network("quickbrush-small", engine=engine, precision=precision)
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 72, 56).requires_grad_(True)
    taps = network(picture, ["stem", "stage2.block2", "stage4.block3"])
    loss = sum(map_.square().mean() for map_ in taps.values())
    (gradient,) = torch.autograd.grad(loss, picture)
    return [map_.detach() for map_ in taps.values()] + [gradient]

def apart(one, other):
    return float((one - other).norm() / other.norm())

real = run("float", "auto")
found = {"words": arranging.counts_words(), "best": precision.best_precision()}
for name in ("float32", "bf16", "int8"):
    packed = run("packed", name)
    found[name] = [apart(one, other) for one, other in zip(packed, real)]
json.dump(found, sys.stdout)
"""


def found(features: list[str], cache: Path) -> dict[str, Any]:
    told = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in features),
        "BITBRUSH_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
    }
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | told, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


@pytest.mark.parametrize(
    ("features", "best"), [(AVX2, "int8"), (NO_VECTORS, "float32")], ids=["AVX2", "without AVX"]
)
def test_a_lesser_cpu_gives_the_same_numbers(
    features: list[str], best: str, tmp_path: Path
) -> None:
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("for other kinds of CPU there are no lesser ones to test")
    if not set(features) <= cpu_features():
        pytest.skip("this CPU can do even less")
    result = found(features, tmp_path)
    assert not result["words"] and result["best"] == best
    for name, tolerance in (("float32", 1e-4), ("bf16", 2e-2), ("int8", 2e-2)):
        *maps, gradient = result[name]
        assert max(maps) < 1e-4, name
        assert gradient < tolerance, name
