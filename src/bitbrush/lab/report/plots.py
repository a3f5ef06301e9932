"""Plots for the page, as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

Points = Sequence[tuple[float, float]]

DECADES = 20.0
"""Highest over lowest value, below which a logarithmic axis has figures within a decade too."""


def curves(
    series: Mapping[str, Points],
    x: str,
    y: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    marks: Mapping[str, float] | None = None,
    line: bool = True,
) -> bytes:
    """A line, or dots, for each series.

    Args:
        series: points (x, y) by name.
        x, y: what the axes show.
        log_x: logarithmic from the smallest positive x on; 0 has a place of its own at its left.
        marks: places on the x axis, by what is to be said of them.
    Returns:
        SVG.
    """
    figure, axes = _axes(x, y)
    positive = [px for points in series.values() for px, _ in points if px > 0]
    if log_x and positive:
        axes.set_xscale("symlog", linthresh=min(positive), linscale=0.5)
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:.3g}")
        values = [py for points in series.values() for _, py in points if py > 0]
        if values and max(values) < DECADES * min(values):
            axes.yaxis.set_minor_formatter("{x:.2g}")
    for name, points in series.items():
        ordered = sorted(points) if line else list(points)
        if ordered:
            xs, ys = zip(*ordered, strict=True)
            axes.plot(xs, ys, marker="o", linestyle="-" if line else "none", label=name)
    for text, place in (marks or {}).items():
        axes.axvline(place, color="#a6401f", linewidth=1, linestyle=":")
        axes.annotate(
            text,
            (place, 0.98),
            xycoords=("data", "axes fraction"),
            rotation=90,
            ha="right",
            va="top",
            fontsize=8,
            color="#a6401f",
        )
    if any(series.values()):
        axes.legend(fontsize=8)
    else:
        axes.text(0.5, 0.5, "nothing was measured", transform=axes.transAxes, ha="center")
    return _svg(figure)


def bars(values: Mapping[str, float], x: str) -> bytes:
    """A bar for each name, the first one on top."""
    figure, axes = _axes(x, "")
    names = list(values)[::-1]
    axes.barh(names, [values[name] for name in names], color="#a6401f")
    return _svg(figure)


def _axes(x: str, y: str) -> tuple[Any, Any]:
    # Not pyplot, which holds on to every figure and may want a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, which="major", alpha=0.3)
    return figure, axes


def _svg(figure: Any) -> bytes:
    from matplotlib import rc_context

    made = io.BytesIO()
    # The same plot has the same bytes: no date, and names that do not change.
    with rc_context({"svg.hashsalt": "bitbrush", "svg.fonttype": "path"}):
        figure.savefig(made, format="svg", metadata={"Date": None})
    return made.getvalue()
