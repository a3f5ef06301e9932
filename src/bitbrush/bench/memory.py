"""The memory that steps take, and their time, in a process of its own (see `workers`).

Growth is what steps at the full size add to a process that is ready: the highest resident memory
over them, less the resident memory after loading and one step of a small picture. What was freed
is given back to the system throughout, so that the figures are of memory in use, with every engine.
"""

from __future__ import annotations

from typing import Any

import torch

from ..allocator import return_freed_memory
from ..process_memory import forget_peak, peak_resident, resident
from .step import Engine, make_step
from .timing import Advance, Times, timed
from .workers import run_worker, serve

SMALL = 64
"""Side in pixels of the picture that makes a process ready."""

STEPS = 5


def measure_apart(
    engine: Engine, height: int, width: int, threads: int, advance: Advance | None = None
) -> dict[str, Any]:
    """Steps of one engine in a process of its own.

    Returns:
        growth and peak (of the whole process) in bytes, seconds of a step (median), and what was
        measured.
    """
    request = {"engine": engine.__dict__, "height": height, "width": width, "threads": threads}
    measured = run_worker("bitbrush.bench.memory", request, advance)
    return {"engine": engine.label, "height": height, "width": width, **measured}


def measure(request: dict[str, Any], advance: Advance) -> dict[str, Any]:
    """The same, in this process."""
    return_freed_memory()
    torch.set_num_threads(request["threads"])
    engine = Engine(**request["engine"])
    network = engine.load()
    make_step(engine, network, SMALL, SMALL)()
    step = timed(make_step(engine, network, request["height"], request["width"]))
    before = peak_resident()
    return_freed_memory()
    ready = resident()
    forget_peak()
    seconds = []
    for number in range(STEPS):
        seconds.append(step())
        advance((number + 1) / STEPS, engine.label)
    peak = peak_resident()
    return {
        "growth": peak - ready,
        "peak": max(before, peak),
        "seconds": Times(tuple(seconds)).median,
    }


if __name__ == "__main__":
    serve(measure)
