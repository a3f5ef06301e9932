"""`bitbrush train` on tiny sets: what it writes, how it goes on, and how it fails."""

from __future__ import annotations

import io
import json
import weakref
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
from bitbrush.classify import OwnClasses, own_classes
from bitbrush.cli.app import app
from bitbrush.errors import InputError
from bitbrush.lab.contestants import contestant
from bitbrush.train import classifier, comparison, curves, labelled, own, recipes, upkeep
from bitbrush.train.labelled import Labelled
from bitbrush.weights.bits import read_metadata, read_network_file
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
    # The curve is drawn anew: it may be that there was nothing to plot it with.
    (tmp_path / "curve.png").unlink(missing_ok=True)
    binarynet(data, tmp_path)
    assert (tmp_path / "curve.png").exists() == curves.can_plot()
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


def test_the_curve_is_drawn_when_that_is_due_and_at_the_end(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(classifier, "LEAST_STEPS", 1)
    monkeypatch.setattr(comparison, "milliseconds", lambda *_: {"one-bit": 1.0, "float": 2.0})
    monkeypatch.setattr(curves, "can_plot", lambda: False)
    monkeypatch.setattr(curves, "write_curve", lambda points, _: written.append(len(points)))
    for is_due, lengths in ((True, [1, 2, 2]), (False, [2])):
        monkeypatch.setattr(upkeep.Upkeep, "is_due", lambda _, is_due=is_due: is_due)
        binarynet(data, tmp_path / str(is_due), "--epochs", 2)
        assert written == lengths
        written.clear()


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
    file = tmp_path / "squeezenet.safetensors"
    assert own_classes(read_metadata(file), file) == OwnClasses(("0", "1", "2"), 40)
    assert network(torch.rand(1, 3, 40, 40), ["logits"])["logits"].shape == (1, 3)


def decoded_only(monkeypatch: pytest.MonkeyPatch, data: Path, output: Path, *more: object) -> str:
    """What is said by a training that ends once its pictures are decoded."""

    def stop(read: dict[str, Labelled], *_: object) -> None:
        raise InputError(f"stored at {read[''].size} px")

    monkeypatch.setattr(own, "splits", stop)
    begun = ("classifier", "squeezenet", "--data", data, "--hours", 1, "-o", output)
    return run(*begun, *more, code=2)


@pytest.mark.parametrize(("size", "stored"), [(32, 32), (48, 40)])
def test_pictures_are_stored_no_larger_than_they_are_fed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, stored: int
) -> None:
    said = decoded_only(monkeypatch, data / "whole.parquet", tmp_path, "--size", size)
    assert f"stored at {stored} px" in said and f"decoding at {stored} px:" in said


@pytest.mark.parametrize(("largest", "begun", "stored"), [(224, 0, 40), (36, 0, 36), (36, 38, 38)])
def test_pictures_have_a_usual_size(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    largest: int,
    begun: int,
    stored: int,
) -> None:
    monkeypatch.setattr(own, "LARGEST", largest)
    if begun:
        # A training that is gone on with keeps the size that it began with.
        torch.save({"training": {"size of pictures": begun}}, tmp_path / "checkpoint.pth")
    said = decoded_only(monkeypatch, data / "whole.parquet", tmp_path)
    assert f"stored at {stored} px" in said


def test_a_first_picture_that_is_too_small_is_told_before_all_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelled, "decoded", lambda *_, **__: pytest.fail("all were decoded"))
    write(tmp_path / "small.parquet", 4, 0, classes=2, size=12)
    said = decoded_only(monkeypatch, tmp_path / "small.parquet", tmp_path, "--quiet")
    assert "12x12 px is too small" in said and said.endswith("choose another with --size\n")


def test_damaged_files_of_a_folder_are_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 40)).save(tmp_path / name)
    (tmp_path / "cat" / "1.png").write_bytes(b"nothing")
    left_out = f"left out, since it cannot be decoded: {tmp_path / 'cat' / '1.png'}"
    assert f"{left_out}\n" in decoded_only(monkeypatch, tmp_path, tmp_path / "out")
    (tmp_path / "dog" / "2.png").write_bytes(b"nothing")
    assert f"{left_out} and 1 more\n" in decoded_only(monkeypatch, tmp_path, tmp_path / "out")
    assert "left out" not in decoded_only(monkeypatch, tmp_path, tmp_path / "out", "--quiet")


@pytest.mark.parametrize("command", ["classifier", "cifar10-binarynet"])
def test_the_whole_set_is_not_kept_beside_its_parts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    whole: list[weakref.ref[Labelled]] = []
    held_out = labelled.held_out

    def watched(pictures: Labelled, *more: int) -> tuple[Labelled, Labelled]:
        whole.append(weakref.ref(pictures))
        return held_out(pictures, *more)

    def stop(*_: object) -> None:
        raise InputError("kept" if whole[0]() else "gone")

    for module in (labelled, own):
        monkeypatch.setattr(module, "held_out", watched)
    monkeypatch.setattr("bitbrush.cli.train._training", stop)
    if command == "classifier":
        said = run(
            *(command, "squeezenet", "--data", data / "whole.parquet"),
            *("--hours", 1, "-o", tmp_path, "--quiet"),
            code=2,
        )
    else:
        said = binarynet(data, tmp_path, "--quiet", code=2)
    assert "gone" in said


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
