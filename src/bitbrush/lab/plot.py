"""Plots of judged paintings: style distance against content distance."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..atomic import write_atomically
from ..errors import InputError
from .judge import Distances

PLOTS = (".png", ".svg", ".pdf")
"""Endings of a plot's file."""


def check_plot(path: Path) -> None:
    """Makes sure, before anything is computed, that a plot can be made there.

    Raises:
        InputError: an unknown ending, a missing folder, or no matplotlib.
    """
    if path.suffix.lower() not in PLOTS:
        raise InputError(f"a plot's name ends in {', '.join(PLOTS)}, not {path.name}")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to write {path.name} into")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError(
            "plots need matplotlib, which is not installed: pip install 'bitbrush[lab]'"
        ) from None


def plot_distances(series: Mapping[str, Sequence[Distances]], judge: str, path: Path) -> None:
    """Writes a plot with a line for each series, in order of content distance.

    Args:
        series: paintings by what they have in common, such as their network.
        judge: the network they were judged by.
        path: of the file, see PLOTS.
    Raises:
        InputError: as `check_plot`, or the file cannot be written.
    """
    check_plot(path)
    # Not pyplot, which holds on to every figure and may want a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, points in series.items():
        ordered = sorted(points, key=lambda point: point.content)
        contents, styles = ([getattr(p, of) for p in ordered] for of in ("content", "style"))
        axes.plot(contents, styles, marker="o", label=name)
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("content distance")
    axes.set_ylabel("style distance (1: as far as the content)")
    axes.set_title(f"judged by {judge}")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    made = io.BytesIO()
    figure.savefig(made, format=path.suffix.lower()[1:], dpi=150)
    write_atomically(path, made.getvalue())
