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

ACROSS = 4
"""Panels side by side."""

LABELLED = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
"""What a labelled distance begins with, times a power of ten."""


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
    plot_panels({"": series}, judge, path)


def plot_panels(
    panels: Mapping[str, Mapping[str, Sequence[Distances]]], judge: str, path: Path
) -> None:
    """The same in panels side by side, each with its title; a series has one colour in all.

    Args:
        panels: series by name, by title: such as those of each pair of pictures.
        judge, path: as in `plot_distances`.
    Raises:
        InputError: as `check_plot`, or the file cannot be written.
    """
    check_plot(path)
    # Not pyplot, which holds on to every figure and may want a screen.
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    columns = min(len(panels), ACROSS)
    rows = -(-len(panels) // columns)
    size = (7.0, 5.0) if len(panels) == 1 else (3.0 * columns, 2.6 * rows)
    figure = Figure(figsize=size, layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    for axes, (title, series) in zip(places, panels.items(), strict=False):
        for name, points in series.items():
            ordered = sorted(points, key=lambda point: point.content)
            contents, styles = ([getattr(p, of) for p in ordered] for of in ("content", "style"))
            axes.plot(contents, styles, marker="o", label=name, color=f"C{names.index(name)}")
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=LABELLED))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        axes.set_title(title, fontsize="small")
        axes.grid(True, which="both", alpha=0.3)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    places[0].legend(fontsize=None if len(panels) == 1 else "x-small")
    figure.supxlabel("content distance")
    figure.supylabel("style distance (1: as far as the content)")
    figure.suptitle(f"judged by {judge}")
    made = io.BytesIO()
    figure.savefig(made, format=path.suffix.lower()[1:], dpi=150)
    write_atomically(path, made.getvalue())
