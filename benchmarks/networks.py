"""What a painting costs with each network: seconds a step, and peak memory of the process.

    python benchmarks/networks.py [--size 512] [--steps 12] [NETWORK ...]

Each network paints in a process of its own, from the same two pictures, at one scale. Weights are
random where a network's own are not on this machine, which changes neither time nor memory. Prints
a Markdown table; the last column compares with the first network in one run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

NETWORKS = ("vgg19", "quickbrush", "resnet18-bmxnet", "quicknet-v1", "squeezenet", "vgg19-16x")


def paint(network: str, size: int, steps: int, folder: Path) -> dict[str, float]:
    """Seconds a step, and peak MB of the process, for one painting."""
    command = [sys.executable, "-m", "bitbrush", "paint", str(folder / "content.png")]
    command += ["brushstrokes", "-o", str(folder / "out.png"), "--network", network]
    command += ["--size", str(size), "--min-size", str(size), "--json", "--quiet"]
    weights = ["--weights", "none"] if not _has_weights(network) else []
    # The difference of two runs leaves out what is spent before the first step.
    runs = []
    for count in (2, 2 + steps):
        done = subprocess.run(
            [*command, *weights, "--steps", str(count)], check=True, capture_output=True, text=True
        )
        runs.append(json.loads(done.stdout))
    seconds = (runs[1]["seconds"] - runs[0]["seconds"]) / steps
    return {"seconds": seconds, "mb": runs[1]["peak_rss_mb"]}


def _has_weights(network: str) -> bool:
    from bitbrush.weights.loading import find_default

    return find_default(network) is not None


def main(
    networks: Annotated[list[str], typer.Argument(help="Networks, by name.")] = list(NETWORKS),  # noqa: B006
    size: Annotated[int, typer.Option(help="Long edge in pixels.")] = 512,
    steps: Annotated[int, typer.Option(help="Steps to time.")] = 12,
) -> None:
    """Time a step of painting with each network."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw = [sys.executable, "-m", "bitbrush", "styles", "pointillism"]
        subprocess.run(
            [*draw, "-o", str(folder / "content.png")], check=True, stdout=subprocess.DEVNULL
        )
        print(f"| network | s a step, {size} px | peak MB | faster than {networks[0]} |")
        print("| --- | --- | --- | --- |")
        first = 0.0
        for network in networks:
            cost = paint(network, size, steps, folder)
            first = first or cost["seconds"]
            ratio = first / cost["seconds"]
            print(f"| {network} | {cost['seconds']:.2f} | {cost['mb']:.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    typer.run(main)
