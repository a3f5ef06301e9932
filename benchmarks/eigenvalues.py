"""How long a style's eigenvalues take on all threads and on one, alone and beside other programs.

    python benchmarks/eigenvalues.py

The other programs are loops that use a core each, as many as there are cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated

import torch
import typer

from bitbrush.engine.blas import on_one_thread

SIDES = (24, 54, 110, 120, 256)
"""Of matrices: those of a step of a painting by quickbrush, and the largest of a style."""


def main(
    seconds: Annotated[float, typer.Option(help="For each; the mean counts.")] = 1.5,
) -> None:
    """Print a table."""
    print(f"| matrix | alone, {torch.get_num_threads()} threads | one | beside others | one |")
    print("| --- | --- | --- | --- | --- |")
    alone = [_times(side, seconds) for side in SIDES]
    with _busy():
        beside = [_times(side, seconds) for side in SIDES]
    for side, *times in zip(SIDES, alone, beside, strict=True):
        cells = " | ".join(f"{1e3 * one:.2f} ms" for pair in times for one in pair)
        print(f"| {side}² | {cells} |")


def _times(side: int, seconds: float) -> tuple[float, float]:
    """Seconds on all threads, and on one."""
    points = torch.randn(side, 4 * side, generator=torch.Generator().manual_seed(0))
    matrix = points @ points.T
    found = []
    for threads in (nullcontext, on_one_thread):
        with threads():
            # A system first favours whoever comes new; a painting is at it for longer.
            _mean_time(matrix, seconds)
            found.append(_mean_time(matrix, seconds))
    return found[0], found[1]


def _mean_time(matrix: torch.Tensor, seconds: float) -> float:
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        torch.linalg.eigh(matrix)
        done += 1
    return (time.perf_counter() - began) / done


@contextmanager
def _busy() -> Iterator[None]:
    loop = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(loop) for _ in range(os.cpu_count() or 1)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    typer.run(main)
