"""`bitbrush train` on tiny sets: what it writes, how it goes on, and how it fails."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from safetensors.torch import load_file
from typer.testing import CliRunner

import bitbrush.cli.main  # noqa: F401 - gathers the commands
from bitbrush.cli.app import app
from bitbrush.errors import InputError
from bitbrush.lab.contestants import contestant
from bitbrush.train import comparison, own, recipes
from bitbrush.train.labelled import Labelled
from bitbrush.weights.bits import read_network_file
from bitbrush.weights.loading import load_network


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, count, seed in (("train", 230, 0), ("test", 20, 1)):
        write(folder / f"cifar10_{name}.parquet", count, seed, classes=10, size=32)
    write(folder / "own.parquet", 80, 0, classes=3, size=40, split=True)
    write(folder / "whole.parquet", 80, 0, classes=3, size=40)
    return folder


@pytest.fixture(autouse=True)
def small_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each point is drawn and saved, which takes longer than such an epoch.
    for name, recipe in recipes.RECIPES.items():
        monkeypatch.setitem(recipes.RECIPES, name, replace(recipe, points=1))
    monkeypatch.setattr(recipes, "SCRATCH", replace(recipes.SCRATCH, batch=16, points=1))
    monkeypatch.setattr(comparison, "REPETITIONS", 1)


def write(path: Path, count: int, seed: int, classes: int, size: int, split: bool = False) -> None:
    random = np.random.default_rng(seed)
    pictures = []
    for label in np.arange(count) % classes:
        file = io.BytesIO()
        pixels = random.integers(0, 100, (size, size, 3)) + int(label) * 15
        Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
        pictures.append(file.getvalue())
    columns = {"image": pictures, "label": [int(n) for n in np.arange(count) % classes]}
    if split:
        columns["split"] = ["val" if n % 8 == 7 else "train" for n in range(count)]
    parquet.write_table(pyarrow.table(columns), path)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stderr if code else result.stdout


def binarynet(data: Path, output: Path, *more: object, code: int = 0) -> str:
    return run(
        "cifar10-binarynet",
        *("--data", data / "cifar10_train.parquet", "--width", 0.0625, "--hold-out", 20),
        *("--epochs", 1, "-o", output, *more),
        code=code,
    )


def test_binarynet_and_its_twin(data: Path, tmp_path: Path) -> None:
    table = binarynet(data, tmp_path)
    assert "no result" in table and "1 of 1 (better)" in table
    _, metadata = read_network_file(tmp_path / "cifar10-binarynet.safetensors")
    assert metadata["recipe"] == "better"
    latent = load_file(tmp_path / "latent.safetensors")["convolutions.1.weight"]
    assert latent.abs().max() <= 1 and len(latent.abs().unique()) > 2
    curve = (tmp_path / "curve.jsonl").read_text().splitlines()
    assert json.loads(curve[-1])["epoch"] == 1
    # The test pictures were looked at: not again by the same command.
    result = (tmp_path / "result.json").read_text()
    assert json.loads(result)["tested"] == 20
    (tmp_path / "result.json").write_text(result.replace('"tested": 20', '"tested": 30'))
    binarynet(data, tmp_path)
    assert '"tested": 30' in (tmp_path / "result.json").read_text()
    # The twin has a folder of its own.
    both = binarynet(data, tmp_path, "--epochs", 2, "--float")
    assert (tmp_path / "float" / "cifar10-binarynet-float.safetensors").exists()
    assert not (tmp_path / "float" / "latent.safetensors").exists()
    assert "no result" not in both and both == (tmp_path / "table.md").read_text()
    row = next(line for line in both.splitlines() if line.startswith("| smaller by"))
    assert float(row.split("|")[2]) > 10


def test_longer_training_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {"one-bit": 1.0, "float": 2.0}
    monkeypatch.setattr(comparison, "milliseconds", lambda *_: times)
    binarynet(data, tmp_path, "--recipe", "larq")
    binarynet(data, tmp_path, "--recipe", "larq", "--epochs", 2)
    steps = [
        json.loads(line)["step"] for line in (tmp_path / "curve.jsonl").read_text().splitlines()
    ]
    assert steps == [4, 8]
    assert json.loads((tmp_path / "result.json").read_text())["epochs"] == 2


@pytest.mark.parametrize(
    "other",
    [
        ["--recipe", "larq"],
        ["--seed", 1],
        ["--width", 0.125],
    ],
)
def test_a_result_of_other_weights_is_measured_anew(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: list[object]
) -> None:
    monkeypatch.setattr(comparison, "milliseconds", lambda *_: {"one-bit": 1.0, "float": 2.0})
    binarynet(data, tmp_path)
    path = tmp_path / "result.json"
    path.write_text(path.read_text().replace('"tested": 20', '"tested": 30'))
    (tmp_path / "checkpoint.pth").unlink()
    table = binarynet(data, tmp_path, *other)
    assert json.loads(path.read_text())["tested"] == 20
    assert table.count("no result") == 4  # the twin's


def test_other_test_pictures_are_looked_at(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "milliseconds", lambda *_: {"one-bit": 1.0, "float": 2.0})
    binarynet(data, tmp_path, "--float")
    binarynet(data, tmp_path)
    path, twins = tmp_path / "result.json", tmp_path / "float" / "result.json"
    # Of as many pictures, so that only what they show tells them apart.
    write(tmp_path / "other.parquet", 20, 2, classes=10, size=32)
    before = json.loads(path.read_text())
    table = binarynet(data, tmp_path, "--test", tmp_path / "other.parquet")
    after = json.loads(path.read_text())
    assert after["test_set"] != before["test_set"] and after["weights"] == before["weights"]
    # The twin was tested with others, which cannot be compared.
    assert table.count("no result") == 4
    # Older results do not tell: one is measured anew, the twin's is taken as it is.
    for each in (path, twins):
        told = json.loads(each.read_text()) | {"tested": 30}
        del told["weights"], told["test_set"]
        each.write_text(json.dumps(told))
    assert "no result" not in binarynet(data, tmp_path)
    assert json.loads(path.read_text()) == before


def test_binarynet_errors_are_one_line(data: Path, tmp_path: Path) -> None:
    def said(*more: object) -> str:
        text = binarynet(data, tmp_path, *more, "--quiet", code=2)
        assert len(text.splitlines()) == 1
        return text

    assert "did you mean 'better'" in said("--recipe", "beter")
    assert "1/16" in said("--width", 0.3)
    assert "there is no" in said("--data", tmp_path / "nothing.tar.gz")
    assert "held out" in said("--hold-out", 500)
    assert "positive" in said("--hours", 0)
    assert "did you mean 'packed'" in said("--engine", "pakced")
    assert "no one-bit 3x3 convolution" in said("--engine", "packed", "--float")


def test_both_engines_train(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "milliseconds", lambda *_: {"one-bit": 1.0, "float": 2.0})
    latent = []
    for engine in ("packed", "float"):
        binarynet(data, tmp_path / engine, "--engine", engine)
        state = load_file(tmp_path / engine / "latent.safetensors")
        latent.append(state["convolutions.3.weight"])
    # Their gradients are rounded differently, and nothing else.
    apart = (latent[0] - latent[1]).norm() / latent[1].norm()
    assert 0 < apart < 0.05
    said = binarynet(data, tmp_path / "packed", "--engine", "float", "--quiet", code=2)
    assert "another engine" in said


def test_without_numba_training_is_in_floats(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitbrush.cli.train.find_spec", lambda name: None)
    monkeypatch.setattr(comparison, "milliseconds", lambda *_: {"one-bit": 1.0, "float": 2.0})
    assert "pip install numba" in binarynet(data, tmp_path, "--engine", "packed", code=2)
    binarynet(data, tmp_path)
    state = torch.load(tmp_path / "checkpoint.pth", weights_only=True)
    assert state["training"]["engine"] == "float"


@pytest.mark.parametrize("source", ["own", "whole"])
def test_a_classifier_of_other_pictures(data: Path, tmp_path: Path, source: str) -> None:
    said = run(
        *("classifier", "squeezenet", "--data", data / f"{source}.parquet"),
        *("--epochs", 1, "--hours", 1, "-o", tmp_path),
    )
    count = {"own": 10, "whole": 8}[source]
    card = (tmp_path / "squeezenet.md").read_text()
    assert said.startswith("squeezenet, ours, ") and " h, top-1 " in said
    assert card.startswith(f"# {said.strip()}\n")
    assert f" of {count} pictures right" in card and "3 classes, seen at 40 px" in card
    # What a laboratory calls it is the card's title without the interval.
    told = contestant(f"squeezenet={tmp_path / 'squeezenet.safetensors'}").label
    assert said.startswith(f"{told} (95 %: ")
    # The file finds its way back by the name, with its own head.
    network = load_network("squeezenet", tmp_path / "squeezenet.safetensors")
    assert network(torch.rand(1, 3, 40, 40), ["logits"])["logits"].shape == (1, 3)


@pytest.mark.parametrize(("size", "stored"), [(32, 32), (48, 40)])
def test_pictures_are_stored_no_larger_than_they_are_fed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, stored: int
) -> None:
    def seen(read: dict[str, Labelled], *_: object) -> None:
        raise InputError(f"stored at {read[''].size} px")

    monkeypatch.setattr(own, "splits", seen)
    said = run(
        *("classifier", "squeezenet", "--data", data / "whole.parquet"),
        *("--hours", 1, "--size", size, "-o", tmp_path, "--quiet"),
        code=2,
    )
    assert f"stored at {stored} px" in said


def test_classifier_errors_are_one_line(data: Path, tmp_path: Path) -> None:
    def said(*arguments: object, source: str = "own") -> str:
        more = ("--data", data / f"{source}.parquet", "-o", tmp_path)
        text = run("classifier", *arguments, *more, "--quiet", code=2)
        assert len(text.splitlines()) == 1
        return text

    assert "did you mean 'squeezenet'" in said("squezenet")
    assert "has no classifier" in said("quickbrush")
    assert "--hours or --epochs" in said("squeezenet")
    assert "there is no" in said("squeezenet", "--hours", 1, source="nothing")
    assert "224x224" in said("xnornet", "--hours", 1, "--size", 64)
    assert "too small" in said("squeezenet", "--hours", 1, "--size", 8)


def test_random_weights_follow_from_the_seed() -> None:
    first, second, third = (own.fresh("squeezenet", 3, seed) for seed in (1, 1, 2))
    assert torch.equal(first.stem.weight, second.stem.weight)
    assert not torch.equal(first.stem.weight, third.stem.weight)


def test_weights_without_batch_norms_keep_the_size_of_maps() -> None:
    network = own.fresh("squeezenet", 3, 0).eval()
    with torch.no_grad():
        maps = network(torch.rand(4, 3, 64, 64), network.taps)
    assert 0.1 < float(maps["stage3.block4"].std()) < 10
    # Rectified logits that began below zero would stay there.
    assert float(maps["logits"].min()) > 0
