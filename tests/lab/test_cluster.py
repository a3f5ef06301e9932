"""A cluster paints what one machine paints; a node may be lost, a painting may not."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.lab import cluster, elsewhere, making, painters
from bitbrush.lab.contestants import contestant
from bitbrush.lab.elsewhere import Files, done_elsewhere
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import Cell, Sources, with_settings
from bitbrush.lab.runner import Laboratory
from bitbrush.weights.bits import save_network
from bitbrush.weights.importing import build

JUDGE = "quickbrush"
Make = Callable[..., Request]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For files that would stay on a node."""
    monkeypatch.setattr(elsewhere, "_shared_folder", lambda: tmp_path / "node")


def silent(done: float, note: str) -> None: ...


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


def anywhere(
    monkeypatch: pytest.MonkeyPatch, cell: Cell, picture: Path, known: painters.Found | None
) -> painters.Brought:
    """As on a node: its files are sent, and nothing else is there."""
    files = [cell.sources.content, Path(cell.sources.style)]
    files += [Path(cell.settings["weights"])] if "weights" in cell.settings else []
    lasting = [Path("sent") / path.name for path in files]
    contents = [path.read_bytes() for path in files]
    marks = [hashlib.sha256(content).hexdigest() for content in contents]
    sent = dataclasses.replace(cell, sources=Sources(lasting[0], str(lasting[1])))
    if len(lasting) == 3:
        sent = with_settings(sent, weights=str(lasting[2]))
    work = partial(painters.painted_anywhere, sent, JUDGE, picture, known)
    passing = [(picture, picture.read_bytes())] if known else []
    monkeypatch.setenv("BITBRUSH_WEIGHTS", "")
    brought: painters.Brought = done_elsewhere(work, lasting, passing, [], marks, *contents)
    return brought


def test_a_node_needs_nothing_but_what_travels(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = cells_of(make_request("quickbrush-small"), 1)
    (row,) = Laboratory(tmp_path, JUDGE).rows([cell], silent)
    monkeypatch.chdir(tmp_path)
    picture, found = anywhere(monkeypatch, cell, tmp_path / row.file, None)
    assert picture == (tmp_path / row.file).read_bytes()
    assert found["style_distance"] == row.found["style_distance"]


def test_weights_of_a_file_travel_too(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_network(build("quickbrush-small"), tmp_path / "own.safetensors", {})
    request = make_request(contestant(f"quickbrush-small={tmp_path / 'own.safetensors'}"))
    (label,) = request.networks
    cell = Cell(request.sources[0], request.settings(label))
    crew = painters.Painters.__new__(painters.Painters)
    crew._folder, crew._judge = tmp_path, JUDGE
    assert tmp_path / "own.safetensors" in crew._errand(cell).lasting
    (row,) = Laboratory(tmp_path, JUDGE).rows([cell], silent)
    monkeypatch.chdir(tmp_path)
    picture, found = anywhere(monkeypatch, cell, tmp_path / row.file, None)
    assert picture == (tmp_path / row.file).read_bytes()
    assert found["style_distance"] == row.found["style_distance"]


def test_a_node_judges_what_is_painted_already(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = cells_of(make_request("quickbrush-small"), 1)
    (plain,) = Laboratory(tmp_path / "plain", None).rows([cell], silent)
    (judged,) = Laboratory(tmp_path / "judged", JUDGE).rows([cell], silent)
    monkeypatch.setattr(making, "_painted", lambda *a: pytest.fail("painted again"))
    picture, found = anywhere(monkeypatch, cell, tmp_path / "plain" / plain.file, plain.found)
    assert picture is None and found["seconds"] == plain.found["seconds"]
    assert found["style_distance"] == judged.found["style_distance"]


def test_what_cannot_be_done_elsewhere_is_said_as_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITBRUSH_WEIGHTS", "")

    def work(files: Files) -> None:
        raise InputError(f"cannot read {files[Path('sent/one.png')]}: it is torn")

    with pytest.raises(InputError, match=r"^cannot read sent/one.png: it is torn$"):
        done_elsewhere(work, [], [(Path("sent/one.png"), b"torn")], [], [])


def test_bad_addresses_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r"bitbrush\[ray\]"):
        cluster.check_ray("local")
    monkeypatch.setitem(__import__("sys").modules, "ray", cluster)
    cluster.check_ray("local")
    for address in ("nonsense", "host:", ":6379", "host:port", "host:99999"):
        with pytest.raises(InputError, match=f"takes HOST:PORT, or 'local', not '{address}'"):
            cluster.check_ray(address)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(InputError, match=f"no cluster at {address} .*ray start --head"):
            cluster.check_ray(address)
        listening.listen()
        cluster.check_ray(address)


@pytest.mark.slow
def test_a_local_cluster_is_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # of another, as on a machine of a cluster
    with cluster.connected("local", 2, 1) as size:
        assert size == 2


@pytest.mark.slow
def test_a_node_is_killed_in_the_middle(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cells = cells_of(make_request("quickbrush-small", pairs=2), 4)
    alone = Laboratory(tmp_path / "alone", JUDGE).rows(cells, silent)
    # The head plans only, so that the nodes do the painting.
    nodes = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False},
    )
    lost = nodes.add_node(num_cpus=1)
    nodes.add_node(num_cpus=1)
    kept: list[str] = []
    keep = painters.Painters._keep

    def noted(self: painters.Painters, task: Cell, brought: painters.Brought) -> painters.Found:
        kept.append(task.key)
        if len(kept) == 2:
            nodes.remove_node(lost, allow_graceful=False)
        return keep(self, task, brought)

    monkeypatch.setattr(painters.Painters, "_keep", noted)
    try:
        with Laboratory(tmp_path / "many", JUDGE, ray=nodes.address, threads=1) as laboratory:
            together = laboratory.rows(cells, silent)
    finally:
        nodes.shutdown()
    assert sorted(kept) == sorted(cell.key for cell in cells)  # nothing lost, nothing twice
    for one, other in zip(alone, together, strict=True):
        assert one.cell == other.cell and one.distances == other.distances
        assert (tmp_path / "alone" / one.file).read_bytes() == (
            tmp_path / "many" / other.file
        ).read_bytes()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
