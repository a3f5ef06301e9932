"""Estimated against measured memory of paintings: PYTHONPATH=src python benchmarks/memory.py

Each painting is made in a process of its own, from random pictures and random weights, at one
scale, with a checkpoint of its last step. Printed are the estimate that `bitbrush paint` makes
before it begins, the highest resident memory of the process, and their ratio. Linux only.

    python benchmarks/memory.py                      every case
    python benchmarks/memory.py --sizes 256,512      some sizes
    python benchmarks/memory.py --networks vgg19     one network
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SIZES = (256, 512, 1024, 2048, 3840)
NETWORKS = ("quickbrush", "squeezenet", "resnet18-bmxnet")
STEPS = {"adam": 3, "lbfgs": 14}
"""Enough for every buffer to exist: L-BFGS keeps ten pairs of vectors."""


def cases(sizes: list[int], networks: list[str]) -> list[dict[str, Any]]:
    """The settings of every painting to make."""
    found: list[dict[str, Any]] = [
        {"network": network, "size": size} for network in networks for size in sizes
    ]
    if 3840 in sizes:
        # 16:9, as screens are; of the other networks it would take hours.
        found = [case for case in found if case["size"] < 3840]
        found.append({"network": "quickbrush", "size": 3840, "steps": 2, "height": 2160})
    if 512 in sizes:
        found += [
            {"network": "quickbrush", "size": 512, "optimizer": "lbfgs"},
            {"network": "quickbrush", "size": 512, "canvas": "fourier"},
            {"network": "quickbrush", "size": 512, "canvas": "fourier", "optimizer": "lbfgs"},
            {"network": "quickbrush", "size": 512, "statistic": "gram"},
            {"network": "quickbrush", "size": 512, "statistic": "sliced-wasserstein"},
            {"network": "quickbrush", "size": 512, "style_size": 1024},
            {"network": "quicknet", "size": 512},
            {"network": "vgg19", "size": 512},
        ]
    return found


def measure(settings: dict[str, Any], threads: int) -> dict[str, float]:
    """Paints in this process; estimate and peak in bytes, and seconds a step."""
    import time

    import numpy as np

    from bitbrush.process_memory import peak_resident
    from bitbrush.style.checkpoint import Checkpoint, save_checkpoint
    from bitbrush.style.memory import estimated_peak
    from bitbrush.style.paint import Session
    from bitbrush.style.settings import make_settings

    settings = dict(settings)
    size = settings["size"]
    height = settings.pop("height", size * 3 // 4)
    random = np.random.default_rng(0)
    content = random.integers(0, 256, (height, size, 3), dtype=np.uint8)
    style = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
    steps = STEPS[settings.get("optimizer", "adam")]
    fixed = {"weights": "none", "min_size": size, "steps": steps, "threads": threads}
    session = Session(content, [style], make_settings(fixed | settings))
    estimate = estimated_peak(session.job)
    started = time.monotonic()
    for step in session.steps():
        if step.done == step.steps:
            with tempfile.TemporaryDirectory() as folder:
                checkpoint = Checkpoint(session.run(), step.state())
                save_checkpoint(checkpoint, Path(folder) / "checkpoint")
            session.painting(step)
            steps = step.steps
    seconds = (time.monotonic() - started) / steps
    return {"estimate": estimate, "peak": peak_resident(), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description="Estimated against measured memory.")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="in pixels, with commas")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="names, with commas")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help="settings (JSON) of one painting to measure in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(json.loads(options.one), options.threads)))
        return
    print("estimate MB  measured MB  ratio  s/step  settings")
    for settings in cases(
        [int(size) for size in options.sizes.split(",")], options.networks.split(",")
    ):
        command = [sys.executable, __file__, "--threads", str(options.threads)]
        done = subprocess.run(
            [*command, "--one", json.dumps(settings)], capture_output=True, text=True
        )
        words = " ".join(f"{name}={value}" for name, value in settings.items())
        if done.returncode:
            print(f"failed: {words}: {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        result = json.loads(done.stdout)
        estimate, peak = result["estimate"], result["peak"]
        print(
            f"{estimate / 1e6:11.0f}  {peak / 1e6:11.0f}  {estimate / peak:5.2f}"
            f"  {result['seconds']:6.2f}  {words}",
            flush=True,
        )


if __name__ == "__main__":
    main()
