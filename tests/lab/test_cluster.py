"""A cluster paints what one machine paints; a node may be lost, a painting may not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.lab import cluster
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import Cell
from bitbrush.lab.runner import Laboratory

JUDGE = "quickbrush"
Make = Callable[..., Request]


def cells_of(request: Request, count: int) -> list[Cell]:
    return [
        Cell(
            sources,
            request.settings("quickbrush-small", content_weight=0.05 * 2**place),
            row=sources.name,
        )
        for sources in request.sources
        for place in range(count)
    ]


def test_a_node_needs_nothing_but_what_travels(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = cells_of(make_request("quickbrush-small"), 1)
    (row,) = Laboratory(tmp_path, JUDGE).rows([cell], lambda done, note: None)
    sources = cell.sources
    contents = [sources.content.read_bytes(), Path(sources.style).read_bytes()]
    names = [sources.content.name, Path(sources.style).name]
    monkeypatch.setenv("BITBRUSH_WEIGHTS", "")
    monkeypatch.chdir(tmp_path)
    elsewhere = Cell(type(sources)(Path("nowhere.png"), "nowhere.png"), cell.settings)
    picture, found = cluster.painted_anywhere(elsewhere, JUDGE, names, [], *contents)
    assert picture == (tmp_path / row.file).read_bytes()
    assert found["style_distance"] == row.found["style_distance"]


def test_bad_addresses_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r"bitbrush\[ray\]"):
        cluster.check_ray()


@pytest.mark.slow
def test_a_node_is_killed_in_the_middle(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cells = cells_of(make_request("quickbrush-small", pairs=2), 4)
    alone = Laboratory(tmp_path / "alone", JUDGE).rows(cells, lambda done, note: None)
    # The head plans only, so that the nodes do the painting.
    nodes = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False},
    )
    lost = nodes.add_node(num_cpus=1)
    nodes.add_node(num_cpus=1)
    kept: list[str] = []
    keep = cluster.Painters._keep

    def noted(self: cluster.Painters, cell: Cell, picture: bytes | None, result: object) -> None:
        kept.append(cell.key)
        if len(kept) == 2:
            nodes.remove_node(lost, allow_graceful=False)
        keep(self, cell, picture, result)  # type: ignore[arg-type]

    monkeypatch.setattr(cluster.Painters, "_keep", noted)
    try:
        laboratory = Laboratory(tmp_path / "many", JUDGE, ray=nodes.address, threads=1)
        together = laboratory.rows(cells, lambda done, note: None)
    finally:
        nodes.shutdown()
    assert sorted(kept) == sorted(cell.key for cell in cells)  # nothing lost, nothing twice
    for one, other in zip(alone, together, strict=True):
        assert one.cell == other.cell and one.distances == other.distances
        assert (tmp_path / "alone" / one.file).read_bytes() == (
            tmp_path / "many" / other.file
        ).read_bytes()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
