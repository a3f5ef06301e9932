"""Learning curves as files: one JSON object a line, and a plot."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from ..atomic import write_atomically
from .classifier import Point


def write_curve(points: Sequence[Point], path: Path) -> None:
    """Writes all points, one JSON object a line, in place of what was there."""
    lines = [json.dumps(asdict(point)) + "\n" for point in points]
    write_atomically(path, "".join(lines).encode(), parents=True)


def can_plot() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def plot_curve(points: Sequence[Point], title: str, path: Path) -> None:
    """Writes a PNG of loss, accuracies and flip ratio over epochs. Needs matplotlib."""
    # Not pyplot, which holds on to every figure and may want a screen.
    from matplotlib.figure import Figure

    flips = [(p.epoch, p.flip_ratio) for p in points if p.flip_ratio]
    figure = Figure(figsize=(5 * (3 if flips else 2), 4), layout="constrained")
    axes = figure.subplots(1, 3 if flips else 2)
    epochs = [point.epoch for point in points]
    axes[0].plot(epochs, [point.loss for point in points])
    axes[0].set(title="loss", xlabel="epoch")
    axes[1].plot(epochs, [100 * point.accuracy for point in points], label="training")
    checked = [point for point in points if point.held_out is not None]
    if checked:
        values = [100 * (point.held_out or 0.0) for point in checked]
        axes[1].plot([point.epoch for point in checked], values, label="held out")
    axes[1].set(title="accuracy, %", xlabel="epoch")
    axes[1].legend()
    if flips:
        axes[2].plot(*zip(*flips, strict=True))
        axes[2].set(title="bits flipped by a step", xlabel="epoch", yscale="log")
    for each in axes:
        each.grid(True, which="both", alpha=0.3)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_atomically(path, buffer.getvalue(), parents=True)
