"""`bitbrush atlas`: what it refuses before any work, and what it tells of vectors."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import bitbrush.cli.atlas
from bitbrush.cli.app import app
from bitbrush.lab.atlas import atlas, layout
from bitbrush.lab.atlas.atlas import Atlas, Plan
from bitbrush.lab.atlas.layout import Cell
from bitbrush.weights.loading import SHIPPED

NAME, TAP = "quickbrush-small", "stage1.block1"


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that atlases are made of, each in no time, with 160 vectors from 10 pictures."""
    pytest.importorskip("jinja2")
    assert bitbrush.cli.atlas
    made: list[Plan] = []

    def make(plan: Plan, folder: Path, advance: Any) -> Atlas:
        made.append(plan)
        cell = Cell(0, 0, 160, torch.ones(3).numpy(), [])
        painted = [(cell, torch.zeros(1, 3, plan.cell, plan.cell))]
        return Atlas(plan, min(plan.side, 6), painted, [], 160, 10)

    monkeypatch.setattr(atlas, "make_atlas", make)
    monkeypatch.setattr(layout, "check_layout", lambda: None)
    return made


def run(folder: Path, *more: str) -> Any:
    images = folder / "images"
    images.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(images / "1.png")
    words = ["atlas", NAME, "--tap", TAP, "--images", str(images), "--side", "2", "--cell", "32"]
    return CliRunner().invoke(app, [*words, "-o", str(folder / "out"), *more])


def test_the_number_of_vectors_is_that_of_those_found(tmp_path: Path, plans: list[Plan]) -> None:
    result = run(tmp_path, "--vectors", "20000")
    assert result.exit_code == 0 and len(plans) == 1
    page = (tmp_path / "out" / "atlas.html").read_text(encoding="utf-8")
    assert "<dd>160 from 10 pictures</dd>" in page
    assert f"{NAME}, {TAP}: 10 pictures gave 160 vectors, not 20,000" in result.stderr
    assert "gave" not in run(tmp_path, "--vectors", "160").stderr
    assert "gave" not in run(tmp_path, "--vectors", "20000", "--quiet").stderr


def test_the_number_of_cells_is_told_where_it_is_less(tmp_path: Path, plans: list[Plan]) -> None:
    result = run(tmp_path, "--vectors", "160", "--side", "8")
    assert f"{NAME}, {TAP}: 160 vectors fill 6x6 cells, not 8x8" in result.stderr
    assert "fill" not in run(tmp_path, "--vectors", "160", "--side", "6").stderr


def test_weights_may_be_those_of_a_file(tmp_path: Path, plans: list[Plan]) -> None:
    own = tmp_path / "own.safetensors"
    shutil.copy(SHIPPED / f"{NAME}.safetensors", own)
    result = run(tmp_path, "--beside", f"{NAME}={own}:{TAP}")
    assert result.exit_code == 0, result.stderr
    assert plans[1].subject.file == own
    page = (tmp_path / "out" / "atlas.html").read_text(encoding="utf-8")
    assert f"<h2>{NAME}, own.safetensors, {TAP}</h2>" in page


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--beside", "xnornet=none:stage2.block1"], "the smallest is --cell 33"),
        (["--beside", f"{NAME}=absent.pth:{TAP}"], "cannot read absent.pth"),
        (["--beside", f"{NAME}:stage1.blok1"], "did you mean 'stage1.block1'?"),
        (["--beside", "quickbrush-smal:stem"], "did you mean 'quickbrush-small'?"),
        (["--beside", "quicknet-xl:stem"], "weights of quicknet-xl"),
        (["--seed", str(2**32)], "--seed"),
        (["-o", "images/atlas"], "lies in"),
    ],
)
def test_what_cannot_be_is_told_before_any_work(
    more: list[str],
    text: str,
    tmp_path: Path,
    plans: list[Plan],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path / "none"))
    result = run(tmp_path, *more)
    assert result.exit_code == 2 and text in result.stderr
    assert plans == [] and not (tmp_path / "out").exists()


def test_the_largest_seed_is_taken(tmp_path: Path, plans: list[Plan]) -> None:
    assert run(tmp_path, "--seed", str(2**32 - 1)).exit_code == 0
    assert plans[0].seed == 2**32 - 1
