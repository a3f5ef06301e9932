"""Paintings are judged, one or a folder of them, in Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import bitbrush
import bitbrush.cli.evaluate
from bitbrush.cli.app import app
from bitbrush.errors import InputError
from bitbrush.images import read_image
from bitbrush.lab.evaluate import Made, evaluate, made_from
from bitbrush.lab.judging import evaluations_by_many

# Shipped with the package, so that no weights need be fetched.
JUDGE = "quickbrush"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sources/content.png, sources/style.png and two paintings of them."""
    root = tmp_path_factory.mktemp("evaluate")
    (root / "sources").mkdir()
    (root / "paintings").mkdir()
    random = np.random.default_rng(0)
    for name, low in (("content", 0), ("style", 128)):
        small = random.integers(low, 256, (12, 16, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((192, 144), Image.Resampling.BICUBIC)
        picture.save(root / "sources" / f"{name}.png")
    for weight in (0.05, 0.5):
        bitbrush.paint(
            root / "sources" / "content.png",
            root / "sources" / "style.png",
            size=192,
            steps=6,
            content_weight=weight,
        ).save(root / "paintings" / f"w{weight}.png")
    return root


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--judge", JUDGE])


def sources(folder: Path) -> list[Any]:
    return ["--content", folder / "sources", "--style", folder / "sources"]


def test_one_painting_in_python(folder: Path) -> None:
    content, style = (folder / "sources" / f"{name}.png" for name in ("content", "style"))
    found = bitbrush.evaluate(folder / "paintings" / "w0.5.png", content, style, JUDGE)
    assert (found.network, found.content_weight) == ("quickbrush", 0.5)
    assert found.seconds is not None and found.seconds > 0
    assert found.artefacts is not None and found.artefacts.noise > 0
    itself = evaluate(content, content, style, JUDGE)
    assert itself.distances.content == 0 and itself.network is None
    assert found.distances.content > 0


def test_a_folder_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    plot, sheet = tmp_path / "plot.svg", tmp_path / "sheet.png"
    result = run(folder / "paintings", *sources(folder), "--plot", plot, "--sheet", sheet, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["judge"] == JUDGE
    first, second = found["paintings"]
    assert [first["content_weight"], second["content_weight"]] == [0.05, 0.5]
    assert first["distances"]["content"] != second["distances"]["content"]
    assert first["artefacts"]["grid_against_style"] > 0
    assert "quickbrush" in plot.read_text()
    made = read_image(sheet)
    assert made.height > 2 * 256 and made.width > 3 * 256


@pytest.mark.slow
@pytest.mark.parametrize("crew", [["--workers", "2"], ["--ray", "local", "--workers", "2"]])
def test_several_judge_as_one_does(folder: Path, crew: list[str]) -> None:
    if "--ray" in crew:
        pytest.importorskip("ray")
    alone, together = (
        run(folder / "paintings", *sources(folder), "--json", *more) for more in ([], crew)
    )
    assert together.exit_code == 0, together.output
    one, many = (json.loads(each.stdout)["paintings"] for each in (alone, together))
    assert [each["painting"] for each in many] == ["w0.05.png", "w0.5.png"]
    for first, second in zip(one, many, strict=True):
        for figures in ("distances", "artefacts"):
            assert second.pop(figures) == pytest.approx(first.pop(figures), rel=1e-4)
        assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("ray", [None, "local"])
def test_several_say_which_picture_is_no_good(
    folder: Path, tmp_path: Path, ray: str | None
) -> None:
    if ray is not None:
        pytest.importorskip("ray")
    torn = tmp_path / "torn.png"
    torn.write_bytes((folder / "paintings" / "w0.5.png").read_bytes()[:500])
    content, style = (folder / "sources" / f"{name}.png" for name in ("content", "style"))
    with pytest.raises(InputError) as alone:
        evaluate(torn, content, style, JUDGE)
    with pytest.raises(InputError) as together:
        list(evaluations_by_many([Made(torn, content, style)], JUDGE, ray=ray))
    assert str(torn) in str(alone.value) and str(together.value) == str(alone.value)


def test_a_cluster_has_no_device_of_ours(folder: Path) -> None:
    made = made_from(folder / "paintings", folder / "sources", "mosaic")
    with pytest.raises(InputError, match="--device"):
        list(evaluations_by_many(made, JUDGE, "cuda", ray="local"))


def test_the_table(folder: Path) -> None:
    result = run(folder / "paintings", *sources(folder))
    assert result.exit_code == 0, result.output
    for word in ("w0.05.png", "colour noise", "mean", "their judge"):
        assert word in result.stdout


def test_sources_are_found_by_name(folder: Path, tmp_path: Path) -> None:
    made = made_from(folder / "paintings", folder / "sources", str(folder / "sources"))
    assert [each.content.name for each in made] == ["content.png"] * 2
    assert [Path(each.style).name for each in made] == ["style.png"] * 2
    (builtin,) = made_from(folder / "paintings" / "w0.5.png", folder / "sources", "mosaic")
    assert builtin.style == "mosaic"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no painting"):
        made_from(tmp_path / "empty", folder / "sources", "mosaic")
    with pytest.raises(InputError, match="content.png"):
        made_from(folder / "paintings", tmp_path / "empty", "mosaic")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--plot", "plot.gif"], "plot's name ends in"),
        (["--plot", "nowhere/plot.png"], "no folder"),
        (["--sheet", "sheet.bmp"], "ending"),
    ],
)
def test_what_cannot_be_written_is_said_first(folder: Path, more: list[str], words: str) -> None:
    result = run(folder / "paintings", *sources(folder), *more)
    assert result.exit_code != 0 and isinstance(result.exception, (InputError, SystemExit))
    assert words in str(result.exception) + result.output


def test_small_paintings_have_no_artefacts(folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    Image.open(folder / "sources" / "content.png").resize((96, 72)).save(small)
    content, style = (folder / "sources" / f"{name}.png" for name in ("content", "style"))
    assert evaluate(small, content, style, JUDGE).artefacts is None
