"""Plots of distances."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.lab.judge import Distances
from bitbrush.lab.plot import ACROSS, plot_panels

pytest.importorskip("matplotlib")

LINE = [Distances(0.3, 0.5), Distances(0.2, 1.0), Distances(0.1, 2.0)]


def test_each_panel_has_its_title_and_each_series_one_colour_in_all(tmp_path: Path) -> None:
    panels = {
        f"pair {index}": {"quickbrush": LINE, "float": LINE[:2]} for index in range(ACROSS + 1)
    }
    path = tmp_path / "panels.svg"
    plot_panels(panels, "squeezenet", path)
    text = path.read_text()
    assert all(f"<!-- {title} -->" in text for title in panels)
    lines = [part for part in text.split('<g id="line2d_') if "clip-path" in part]
    blue, orange = (
        sum(f"stroke: {colour}" in part and "stroke-width: 1.5" in part for part in lines)
        for colour in ("#1f77b4", "#ff7f0e")
    )
    assert blue == orange == len(panels)


def test_an_ending_that_is_no_plot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plot's name ends in"):
        plot_panels({"": {"quickbrush": LINE}}, "squeezenet", tmp_path / "panels.gif")
