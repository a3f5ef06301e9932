"""`bitbrush classify`, with SqueezeNet's random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

# The command joins the application when its module is imported.
from bitbrush.classify import OwnClasses, imagenet_classes, told_classes
from bitbrush.cli import classify as _command  # noqa: F401
from bitbrush.cli.app import app
from bitbrush.train.own import fresh
from bitbrush.weights.bits import save_network


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["classify", *arguments])


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "red.png", tmp_path / "grün.png"]
    for path, colour in zip(paths, ("red", "green"), strict=True):
        Image.new("RGB", (60, 40), colour).save(path)
    return [str(path) for path in paths]


RANDOM = ("--network", "squeezenet", "--weights", "none")


def test_json_is_one_object_with_every_picture(pictures: list[str]) -> None:
    result = run(*pictures, *RANDOM, "--top", "3", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["network"] == "squeezenet"
    assert [one["picture"] for one in found["pictures"]] == pictures
    names = dict(imagenet_classes())
    for one in found["pictures"]:
        assert len(one["classes"]) == 3
        shares = [guess["probability"] for guess in one["classes"]]
        assert shares == sorted(shares, reverse=True) and 0 < shares[0] < 1
        assert all(names[guess["wordnet_id"]] == guess["name"] for guess in one["classes"])


def test_the_list_for_people_says_the_same(pictures: list[str]) -> None:
    found = json.loads(run(pictures[0], *RANDOM, "--json").stdout)["pictures"][0]
    result = run(pictures[0], *RANDOM)
    path, *lines = result.stdout.splitlines()
    assert path == pictures[0] and len(lines) == 5
    for line, guess in zip(lines, found["classes"], strict=True):
        share = f"{100 * guess['probability']:.1f}%"
        assert line.split(maxsplit=2) == [share, guess["wordnet_id"], guess["name"]]


def test_classes_of_ones_own_are_called_by_their_names(pictures: list[str], tmp_path: Path) -> None:
    weights = tmp_path / "squeezenet.safetensors"
    own = OwnClasses(("cat", "dog", "sea lion"), 64)
    save_network(fresh("squeezenet", 3, 0), weights, told_classes(own))
    ours = ("--network", "squeezenet", "--weights", str(weights))
    found = json.loads(run(pictures[0], *ours, "--json").stdout)["pictures"][0]["classes"]
    assert {guess["name"] for guess in found} == set(own.names)
    assert {guess["wordnet_id"] for guess in found} == {None}
    lines = run(pictures[0], *ours, "--top", "2").stdout.splitlines()[1:]
    assert [line.split(maxsplit=1)[1] for line in lines] == [g["name"] for g in found[:2]]
    result = run(pictures[0], *ours, "--top", "4")
    assert result.exit_code == 2 and "must be 1 to 3, not 4" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--network", "vgg19-16x"), "vgg19-16x has no classifier; networks that have one:"),
        (("--network", "squeezenett"), "did you mean 'squeezenet'"),
        ((*RANDOM, "--top", "0"), "--top"),
        ((*RANDOM, "--device", "gpu"), "unknown device 'gpu'"),
        (("--network", "squeezenet", "--weights", "absent.pth"), "absent.pth"),
    ],
)
def test_bad_input_is_one_line_and_nothing_on_stdout(
    arguments: tuple[str, ...], message: str, pictures: list[str]
) -> None:
    result = run(pictures[0], *arguments, "--json")
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("no picture")
    result = run(str(path), *RANDOM)
    assert result.exit_code == 2 and "text.png" in result.stderr
