"""Vectors are laid out, painted, kept, and shown on a page that zooms."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from typer.testing import CliRunner

import bitbrush.cli.atlas
from bitbrush.cli.app import app
from bitbrush.errors import InputError
from bitbrush.lab.atlas import atlas, layout, vectors
from bitbrush.lab.atlas.atlas import Plan, make_atlas
from bitbrush.lab.atlas.layout import cells_of
from bitbrush.lab.atlas.render import _distance, rendered
from bitbrush.lab.atlas.vectors import Vectors, collect
from bitbrush.networks.taps import Network, Tap
from bitbrush.style.views import View
from bitbrush.weights.loading import load_network

NAME, TAP = "quickbrush-small", "stage1.block1"


class Means(Network):
    """One map: the colours themselves, so that what a direction wants to see is known."""

    def __init__(self) -> None:
        super().__init__("means", {"colour": Tap(1, smallest=1)})

    def walk(self, x: Tensor, wanted: Any) -> Any:
        yield "colour", x


class Few(Network):
    """A map of few places, and logits of so many classes."""

    def __init__(self, classes: int = 0) -> None:
        heads = {"logits": Tap(0)} if classes else {}
        super().__init__("few", {"colour": Tap(56), **heads})
        self.classes = classes

    def walk(self, x: Tensor, wanted: Any) -> Any:
        yield "colour", functional.avg_pool2d(x, 56)
        yield "logits", x.mean((1, 2, 3))[:, None] * torch.arange(self.classes)


def shades(folder: Path, count: int) -> Path:
    """Grey pictures, each lighter than the one before by 10 of 255."""
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (8, 8), (10 * number,) * 3).save(folder / f"{number:02}.png")
    return folder


def numbers_of(found: Vectors, network: Network) -> list[int]:
    """The numbers of the pictures of `shades` that vectors are from."""
    red = found.values[:, 0] * float(network.std[0, 0]) + float(network.mean[0, 0])
    return list(dict.fromkeys((red * 25.5).round().astype(int).tolist()))


def by_first_two(values: Any, seed: int = 0, advance: Any = None) -> Any:
    """Stands in for UMAP, whose compiling alone takes longer than all these tests."""
    low, high = values[:, :2].min(0), values[:, :2].max(0)
    return (values[:, :2] - low) / (high - low)


def test_vectors_are_what_the_tap_holds(pictures: Path) -> None:
    network = load_network(NAME)
    told: list[int] = []
    found = collect(network, TAP, [pictures / "content"], 10, advance=told.append)
    channels = network(torch.rand(1, 3, 224, 224), [TAP])[TAP].shape[1]
    assert found.values.shape == (10, channels) and found.pictures == 2
    assert found.picture.tolist() == [0] * 5 + [1] * 5
    assert found.classes is None and told[-1] == 10
    again = collect(network, TAP, [pictures / "content"], 10)
    assert np.array_equal(again.values, found.values)
    with pytest.raises(InputError, match="stage1.block1"):
        collect(network, "nothing", [pictures / "content"], 10)


def test_of_more_pictures_than_vectors_evenly_spaced_ones_are_taken(tmp_path: Path) -> None:
    network, folder = Means(), shades(tmp_path / "shades", 19)
    assert numbers_of(collect(network, "colour", [folder], 10), network) == list(range(0, 19, 2))
    (folder / "04.png").write_bytes(b"nothing")
    found = collect(network, "colour", [folder], 10)
    assert numbers_of(found, network) == [0, 2, 5, *range(6, 19, 2)] and len(found.values) == 10


def test_no_picture_gives_more_than_one_vector_more_than_another(tmp_path: Path) -> None:
    found = collect(Means(), "colour", [shades(tmp_path / "shades", 8)], 21)
    assert found.pictures == 8 and len(found.values) == 21
    assert set(np.bincount(found.picture)) == {2, 3}


def test_pictures_are_turned_and_damaged_ones_left_out(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "1.png")
    data = (tmp_path / "1.png").read_bytes()
    second = data.index(b"IDAT", data.index(b"IDAT") + 4)
    (tmp_path / "1.png").write_bytes(data[:second] + bytes(4) + data[second + 4 :])
    lying = Image.new("RGB", (64, 64))
    lying.paste((255, 255, 255), (0, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "2.png", exif=exif)
    found = collect(Few(), "colour", [tmp_path], 32)
    assert found.pictures == 1
    # Of the 16 places, those on the right, which were above, are white.
    assert (found.values[:, 0] > 0).sum() == 8
    seen = vectors._seen((tmp_path / "2.png").read_bytes())
    assert seen[..., :100].max() < 0.01 and seen[..., 124:].min() > 0.99


def test_answers_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    folder = shades(tmp_path / "shades", 2)
    kept = collect(Few(1000), "colour", [folder], 4, classes=True)
    assert kept.classes is not None and kept.classes.shape == (2, 1000)
    assert collect(Few(1000), "colour", [folder], 4).classes is None


def test_cells_hold_means_and_the_classes_that_stand_out() -> None:
    values = np.array([[0, 0], [0, 0.1], [1, 1], [1, 0.9], [0.5, 0.5]], np.float32)
    logits = np.zeros((3, 4), np.float16)
    logits[0, 1] = 5
    logits[1, 3] = 5
    of = np.array([0, 0, 1, 1, 2], np.int32)
    cells = cells_of(Vectors(values, of, logits, 3), values.astype(float), side=2, least=2)
    assert [(cell.row, cell.column, cell.count) for cell in cells] == [(0, 0, 2), (1, 1, 3)]
    first, last = cells
    assert np.allclose(first.direction, values[:2].mean(0) - values.mean(0))
    names = layout.imagenet_classes()
    assert first.classes[0] == names[1][1] and last.classes[0] == names[3][1]


def test_a_picture_shows_its_direction() -> None:
    network, none = Means(), torch.zeros(3)
    red, blue = torch.eye(3)[0], torch.eye(3)[2]
    shown = list(rendered(network, "colour", [red, blue], none, 32, 40))
    grey = torch.full((1, 3, 32, 32), 0.5)
    still = View(0, 0, 0)

    def distance(picture: Tensor, direction: Tensor) -> float:
        return float(_distance(network, "colour", picture, direction[None], none, still))

    for picture, other, direction, channel in (
        (shown[0], shown[1], red, 0),
        (shown[1], shown[0], blue, 2),
    ):
        assert picture.shape == (1, 3, 32, 32)
        assert distance(picture, direction) < min(
            distance(each, direction) for each in (other, grey)
        )
        assert picture.mean((0, 2, 3)).argmax() == channel


def quietly(share: float, note: str) -> None:
    """Nobody is told of the progress."""


def grey(
    network: Any, tap: str, directions: Any, mean: Any, size: int, steps: int, *rest: Any
) -> Any:
    """Stands in for painting, in no time."""
    return [torch.full((1, 3, size, size), 0.5) for _ in directions]


@pytest.fixture
def plan(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(atlas, "laid_out", by_first_two)
    return Plan(NAME, TAP, [pictures / "content"], 40, side=2, cell=32, steps=2, channels=2)


def test_what_is_there_is_not_made_again(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    made = make_atlas(plan, tmp_path, lambda share, note: told.append(share))
    assert told == sorted(told) and told[-1] == pytest.approx(1)
    assert 1 <= len(made.cells) <= 4
    whole = made.mosaic()
    assert whole.shape == (1, 3, 64, 64)
    cell, picture = made.cells[0]
    top, left = 32 * cell.row, 32 * cell.column
    assert torch.equal(whole[..., top : top + 32, left : left + 32], picture)
    lost = next(tmp_path.rglob("cell-*.png"))
    lost.unlink()
    monkeypatch.setattr(atlas, "collect", lambda *a: pytest.fail("collected again"))
    monkeypatch.setattr(atlas, "laid_out", lambda *a: pytest.fail("laid out again"))
    painted: list[int] = []

    def counted(network: Any, tap: str, directions: Any, *rest: Any) -> Any:
        painted.append(len(directions))
        return rendered(network, tap, directions, *rest)

    monkeypatch.setattr(atlas, "rendered", counted)
    make_atlas(plan, tmp_path, quietly)
    assert painted == [1] and lost.exists()


def test_other_tiles_need_no_other_vectors(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas, "rendered", grey)
    make_atlas(plan, tmp_path, quietly)
    monkeypatch.setattr(atlas, "collect", lambda *a: pytest.fail("collected again"))
    monkeypatch.setattr(atlas, "laid_out", lambda *a: pytest.fail("laid out again"))
    for other in ({"cell": 40}, {"side": 1}, {"steps": 3}, {"channels": 3}):
        changed = replace(plan, **other)
        made = make_atlas(changed, tmp_path, quietly)
        assert made.mosaic().shape[2] == changed.side * changed.cell
        assert len(made.channels) == changed.channels


def test_what_is_of_other_vectors_goes(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted: list[int] = []

    def counted(network: Any, tap: str, directions: Any, *rest: Any) -> Any:
        painted.append(len(directions))
        return grey(network, tap, directions, *rest)

    monkeypatch.setattr(atlas, "rendered", counted)
    for other in ({}, {"side": 1}, {"count": 36}):
        made = make_atlas(replace(plan, **other), tmp_path, quietly)
        assert painted[-1] == len(made.cells) + len(made.channels)
    assert made.vectors == 36
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == painted[-1] + len(["vectors.npz", "places.npz"])


def test_weights_have_a_folder_each(plan: Plan) -> None:
    random = replace(plan, network=f"{NAME}=none")
    assert random.folder_name() != plan.folder_name() and random.identity() != plan.identity()
    assert random.subject.label == f"{NAME}, random weights"


def test_channels_are_those_that_vary_most(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas, "rendered", grey)
    made = make_atlas(plan, tmp_path, quietly)
    with np.load(next(tmp_path.rglob("vectors.npz"))) as held:
        spread = held["values"].std(0)
    first, second = (spread[channel] for channel, _ in made.channels)
    assert first >= second >= np.sort(spread)[-2]


def test_fewer_vectors_make_as_many_cells(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas, "load_network", lambda name, weights: Few())
    folder = shades(tmp_path / "shades", 3)
    plan = Plan(NAME, "colour", [folder], 20_000, side=3, cell=32, steps=1, channels=0)
    made = make_atlas(plan, tmp_path / "made", quietly)
    assert made.vectors == 48 and made.pictures == 3 and made.side == 3
    assert [cell.count for cell, _ in made.cells] == [16, 16, 16]


def test_few_vectors_get_few_cells(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas, "load_network", lambda name, weights: Few())
    plan = replace(plan, tap="colour", sources=[shades(tmp_path / "shades", 3)])
    for count, side in ((16, 2), (3, 1)):
        made = make_atlas(replace(plan, count=count, side=14), tmp_path / "made", quietly)
        assert made.side == side and made.mosaic().shape == (1, 3, 32 * side, 32 * side)
        assert sum(cell.count for cell, _ in made.cells) == count


def test_other_pictures_are_collected_anew(tmp_path: Path, plan: Plan) -> None:
    folder = shades(tmp_path / "shades", 2)
    plan = replace(plan, sources=[folder])

    def pictures_of(plan: Plan) -> int:
        return make_atlas(plan, tmp_path / "made", quietly).pictures

    before = plan.identity()
    assert pictures_of(plan) == 2
    Image.new("RGB", (8, 8)).save(folder / "more.png")
    assert pictures_of(plan) == 3
    (folder / "more.png").unlink()
    assert plan.identity() == before
    os.utime(folder / "00.png", (0, 0))
    assert plan.identity() != before


def test_damaged_vectors_are_collected_anew(tmp_path: Path, plan: Plan) -> None:
    first = make_atlas(plan, tmp_path, quietly)
    path = next(tmp_path.rglob("vectors.npz"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    again = make_atlas(plan, tmp_path, quietly)
    assert again.vectors == first.vectors == 40
    # Those that do not say what they are of are no better.
    with np.load(path) as held:
        np.savez(path, values=held["values"][:20])
    assert make_atlas(plan, tmp_path, quietly).vectors == 40


def run(pictures: Path, folder: Path, *more: str) -> Any:
    words = ["atlas", NAME, "--tap", TAP, "--images", str(pictures / "content")]
    words += ["--vectors", "40", "--side", "2", "--cell", "32", "--steps", "1", "--channels", "1"]
    return CliRunner().invoke(app, [*words, "-o", str(folder), *more])


def test_the_command_and_its_page(
    plan: Plan, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("umap")
    pytest.importorskip("jinja2")
    assert bitbrush.cli.atlas
    result = run(pictures, tmp_path, "--beside", f"{NAME}:stem")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "atlas.html").read_text(encoding="utf-8")
    assert text.count('class="window"') == 2 and "40 from 2 pictures" in text
    assert not re.search(r"(src|href)=\"(?!data:)|https?:", text)
    for bad in (["--beside", "squeezenet"], ["--tap", "nothing"]):
        failed = run(pictures, tmp_path / "bad", *bad)
        assert failed.exit_code == 2 and len(failed.stderr.strip().splitlines()) == 1


def test_no_umap_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(InputError, match=r"bitbrush\[atlas\]"):
        layout.check_layout()


@pytest.mark.slow
def test_what_is_alike_lies_together() -> None:
    pytest.importorskip("umap")
    random = np.random.default_rng(0)
    kinds = np.repeat(np.eye(3, 8, dtype=np.float32), 40, axis=0)
    told: list[float] = []
    values = kinds + 0.05 * random.standard_normal(kinds.shape).astype(np.float32)
    places = layout.laid_out(values, 0, told.append)
    assert places.shape == (120, 2) and places.min() >= 0 and places.max() <= 1
    for axis in places.T:
        assert np.allclose(np.sort(axis), np.linspace(0, 1, 120))
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    nearest = apart.argsort(axis=1)[:, 1:11]
    assert (nearest // 40 == np.arange(120)[:, None] // 40).mean() > 0.9
    assert told == sorted(told) and told[-1] > 0.9
