"""`bitbrush attack`, with a small network in place of a large one, and with real weights."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

# The commands join the application when their modules are imported.
from bitbrush.classify import imagenet_classes
from bitbrush.cli import attack as _attack  # noqa: F401
from bitbrush.cli import classify as _classify  # noqa: F401
from bitbrush.cli.app import app
from bitbrush.images import read_image, read_metadata
from bitbrush.lab.attack import library
from bitbrush.lab.attack.victims import imagenet_networks
from bitbrush.networks.taps import Network, Tap
from bitbrush.train.own import fresh
from bitbrush.weights.bits import save_network
from bitbrush.weights.loading import find_default, load_network

RANDOM = ("--network", "squeezenet", "--weights", "none")
FEW = ("--steps", "8", "--confidence", "0", "--epsilon", "40/255")


def run(command: str, *arguments: Any) -> Result:
    return CliRunner().invoke(app, [command, *map(str, arguments)])


class Colours(Network):
    """Its logits are a random linear map of the colours of 16 patches."""

    def __init__(self) -> None:
        super().__init__("squeezenet", {"logits": Tap(stride=0)})
        random = torch.Generator().manual_seed(0)
        self.weight = 3 * torch.randn(1000, 48, generator=random)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        yield "logits", torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ self.weight.T


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but what is shipped, whatever this machine has, and a small network for a large."""
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BITBRUSH_WEIGHTS", raising=False)

    def load(name: str, weights: str = "default", **options: Any) -> Any:
        if name == "squeezenet" and weights == "none":
            return Colours().settle()
        return load_network(name, weights, **options)

    for module in ("bitbrush.lab.attack.study", "bitbrush.weights.loading"):
        monkeypatch.setattr(f"{module}.load_network", load)


def draw(path: Path, seed: int, size: tuple[int, int] = (96, 72)) -> Path:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw(tmp_path / "picture.png", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for seed, (wordnet_id, _) in enumerate(imagenet_classes()[:3]):
        draw(made / f"{wordnet_id}_{seed}.png", seed)
    return made


@pytest.mark.usefixtures("no_weights")
def test_what_is_saved_is_what_classify_says_of_it(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    result = run("attack", picture, *RANDOM, *FEW, "-o", out, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["attacks"]["ours"]["success"] is True
    assert found["attacks"]["ours"]["linf"] <= 40 / 255 + 1e-6
    before, after = (
        json.loads(run("classify", path, *RANDOM, "--json").stdout)["pictures"][0]["classes"]
        for path in (picture, out)
    )
    assert found["before"] == before and found["after"] == after
    assert before[0]["wordnet_id"] != after[0]["wordnet_id"]
    change = (read_image(out).rgb - read_image(picture).rgb) * 255
    assert 0 < change.abs().max().round() <= 40
    told = read_metadata(out)
    assert told["command"] == "attack" and told["content"]["name"] == "picture.png"
    assert told["after"] == after[0] and str(tmp_path) not in json.dumps(told)


@pytest.mark.usefixtures("no_weights")
def test_the_table_for_people(picture: Path) -> None:
    result = run(
        "attack",
        picture,
        *RANDOM,
        *FEW,
        "--target",
        "goldfish",
        "--epsilon",
        "0.6",
        "--steps",
        "30",
    )
    assert result.exit_code == 0, result.stderr
    assert "success: goldfish (n01443537) wanted" in result.stdout
    assert "allowed: linf 153/255" in result.stdout
    lines = result.stdout.splitlines()
    assert "before" in lines[0] and "after" in lines[0] and len(lines[2].split("  ")) > 3


@pytest.mark.usefixtures("no_weights")
def test_a_seed_gives_the_same_bytes(picture: Path, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        run("attack", picture, *RANDOM, *FEW, "--seed", "3", "-o", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.usefixtures("no_weights")
def test_larger_pictures_are_reduced(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    run(
        "attack",
        draw(tmp_path / "large.png", 1, (300, 150)),
        *RANDOM,
        *FEW,
        "--size",
        "64",
        "-o",
        out,
    )
    assert (read_image(out).width, read_image(out).height) == (64, 32)


@pytest.mark.slow
@pytest.mark.usefixtures("no_weights")
def test_a_style_is_painted_in(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    arguments = ("--style", "waves", "--paint-steps", "3", "--painter", "quickbrush-small")
    judged = ("--judge", "quickbrush", "--epsilon", "0.9", "-o", out, "--json")
    result = run("attack", picture, *RANDOM, *FEW, *arguments, *judged)
    assert result.exit_code == 0, result.stderr
    attacks = json.loads(result.stdout)["attacks"]
    assert list(attacks) == ["painting alone", "ours"]
    assert attacks["ours"]["success"] and 0 < attacks["ours"]["content"] <= 0.9
    assert read_metadata(out)["settings"]["style"] == "waves"


@pytest.mark.usefixtures("no_weights")
def test_a_folder_adds_up_and_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (folder, *RANDOM, *FEW, "--no-compare", "--controls", "-o", out)
    result = run("attack", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    ours = found["attacks"]["ours"]
    assert ours["success"]["count"] == 3 and ours["right_before"]["count"] == 0
    assert set(found["controls"]) == {"loss margin", "loss cross-entropy", "8 times the budget"}
    assert found["controls"]["loss margin"]["blocked"] == 0
    assert found["transfer"] == {} and len(list(out.glob("*.png"))) == 3
    # What is there is not made again, and a missing picture is.
    results = out / "results.json"
    held = json.loads(results.read_text())
    name = f"{imagenet_classes()[0][0]}_0.png"
    held["pictures"][name]["attacks"]["ours"]["seconds"] = 1234.5
    held["pictures"].popitem()
    results.write_text(json.dumps(held))
    again = json.loads(run("attack", *arguments, "--json").stdout)
    rows = {row["picture"]: row for row in again["pictures"]}
    assert len(rows) == 3 and rows[name]["attacks"]["ours"]["seconds"] == 1234.5
    other = run("attack", *arguments, "--seed", "1")
    assert other.exit_code == 2 and "other settings (settings)" in other.stderr
    results.write_text("[]")
    assert "is no results file" in run("attack", *arguments).stderr


@pytest.mark.usefixtures("no_weights")
def test_without_the_library_its_columns_are_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    result = run("attack", folder, *RANDOM, *FEW)
    assert result.exit_code == 0, result.stderr
    assert "FGSM, PGD and squares are left out" in result.stderr
    assert "pip install 'bitbrush[attack]'" in result.stderr
    assert "noise" in result.stdout and "pgd" not in result.stdout
    assert "Signs of masked gradients" in result.stdout


@pytest.mark.usefixtures("no_weights")
def test_controls_of_one_picture_bring_attacks_without_a_gradient(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    told = run("attack", picture, *RANDOM, *FEW, "--controls").stdout
    assert "noise" in told.split("control")[0]
    assert "Signs of masked gradients: none\nNot looked for: square, one step against many" in told
    refused = run("attack", picture, *RANDOM, *FEW, "--controls", "--no-compare").stdout
    assert "Not looked for: noise, square" in refused


@pytest.mark.skipif(not library.library_is_there(), reason="needs the attack extra")
@pytest.mark.usefixtures("no_weights")
def test_a_folder_is_attacked_by_others_too(folder: Path) -> None:
    result = run("attack", folder, *RANDOM, *FEW, "--queries", "5", "--json")
    assert result.exit_code == 0, result.stderr
    attacks = json.loads(result.stdout)["attacks"]
    assert list(attacks) == ["ours", "noise", "fgsm", "pgd", "square"]
    assert all(one["linf"] <= 40 / 255 + 1e-6 for one in attacks.values())


@pytest.mark.usefixtures("no_weights")
def test_pictures_that_have_the_target_are_left_out(folder: Path) -> None:
    found = json.loads(run("attack", folder, *RANDOM, *FEW, "--no-compare", "--json").stdout)
    same = found["pictures"][0]["before"][0]["wordnet_id"]
    rest = sum(row["before"][0]["wordnet_id"] != same for row in found["pictures"])
    result = run("attack", folder, *RANDOM, *FEW, "--no-compare", "--target", same, "--json")
    if rest:
        assert json.loads(result.stdout)["attacks"]["ours"]["success"]["count"] == rest
    else:
        assert result.exit_code == 2 and "wanted answer as it is" in result.stderr


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--network", "quickbrush"), "quickbrush has no classifier; networks that have one:"),
        (("--network", "squeezenett"), "did you mean 'squeezenet'"),
        (("--network", "squeezenet"), "bitbrush weights pull squeezenet"),
        ((*RANDOM, "--target", "goldfsh"), "did you mean 'goldfish'"),
        ((*RANDOM, "--epsilon", "8:255"), "such as 8/255 or 0.03"),
        ((*RANDOM, "--epsilon", "0.001"), "below 1/255"),
        ((*RANDOM, "--epsilon", "8"), "did you mean 8/255?"),
        ((*RANDOM, "--epsilon", "300/255"), "did you mean 8/255?"),
        ((*RANDOM, "--norm", "l7"), "unknown norm 'l7'; known: linf, l2, content"),
        ((*RANDOM, "--norm", "content"), "the weights of squeezenet are not here"),
        ((*RANDOM, "--estimator", "ste"), "--estimator has no meaning for squeezenet"),
        ((*RANDOM, "--loss", "marge"), "did you mean 'margin'"),
        ((*RANDOM, "--steps", "0"), "--steps must be between"),
        ((*RANDOM, "--confidence", "1"), "--confidence must be at least 0 and below 1"),
        ((*RANDOM, "--painter", "quickbrush"), "--painter has no meaning without --style"),
        ((*RANDOM, "--queries", "9"), "--queries is of the square attack"),
        ((*RANDOM, "--style", "waves", "--controls"), "--controls has no meaning with --style"),
        ((*RANDOM, "--style", "wavs", "--judge", "quickbrush"), "did you mean 'waves'"),
        ((*RANDOM, "--transfer", "squeezenet"), "squeezenet is attacked itself"),
        ((*RANDOM, "--transfer", "vgg19-16x"), "vgg19-16x has no classifier"),
        ((*RANDOM, "-o", "out.jpg"), "would undo the attack; write a .png"),
        ((*RANDOM, "-o", "absent/out.png"), "there is no folder absent to write out.png into"),
        (("--network", "squeezenet", "--device", "gpu"), "unknown device 'gpu'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_on_stdout(
    arguments: tuple[str, ...], message: str, picture: Path
) -> None:
    result = run("attack", picture, *arguments, "--json", "--quiet")
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert result.stdout == "" and result.stderr.count("\n") == 1


@pytest.mark.usefixtures("no_weights")
def test_a_network_of_ones_own_classes_is_refused(picture: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    save_network(fresh("squeezenet", 100, 0).settle(), own, {"classes": "100"})
    for more in ((), ("--target", "tabby")):
        out = tmp_path / "out.png"
        result = run(
            "attack", picture, "--network", "squeezenet", "--weights", own, *more, "-o", out
        )
        assert result.exit_code == 2 and "knows 100 classes" in result.stderr
        assert not out.exists()


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("bad", ["damaged", "small"])
def test_a_bad_picture_is_told_before_the_first_attack(
    folder: Path, tmp_path: Path, bad: str
) -> None:
    last = draw(folder / "z.png", 0, (96, 72) if bad == "damaged" else (31, 40))
    if bad == "damaged":
        last.write_bytes(last.read_bytes()[:-400])
    out = tmp_path / "out"
    result = run("attack", folder, *RANDOM, *FEW, "--no-compare", "-o", out, "--quiet")
    assert result.exit_code == 2 and "z.png is" in result.stderr
    assert result.stderr.count("\n") == 1 and not list(out.iterdir())


@pytest.mark.usefixtures("no_weights")
def test_pictures_of_one_stem_have_their_own_files(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    for seed, name in enumerate(("cat.png", "cat.tif", "cat.tif.png")):
        draw(folder / name, seed)
    result = run("attack", folder, *RANDOM, *FEW, "--no-compare", "-o", out)
    assert result.exit_code == 0, result.stderr
    made = {path.name: read_metadata(path)["content"]["name"] for path in out.glob("*.png")}
    assert made == {f"{name}.png": name for name in ("cat.png", "cat.tif", "cat.tif.png")}


@pytest.mark.usefixtures("no_weights")
def test_outputs_that_would_replace_sources_are_refused(picture: Path, folder: Path) -> None:
    assert "would replace" in run("attack", picture, *RANDOM, "-o", picture).stderr
    assert "holds the pictures" in run("attack", folder, *RANDOM, "-o", folder).stderr
    assert "is a file" in run("attack", folder, *RANDOM, "-o", picture).stderr
    empty = folder / "empty"
    empty.mkdir()
    assert "no picture in" in run("attack", empty, *RANDOM).stderr
    assert "no file" in run("attack", folder / "none.png", *RANDOM).stderr


SAMPLE = Path(__file__).parents[2] / ".." / "shared" / "images" / "imagenet_sample"


@pytest.mark.slow
@pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs the folder ../shared")
@pytest.mark.skipif(
    any(find_default(n) is None for n in ("resnet18-bmxnet-fp1", "squeezenet")),
    reason="needs trained weights of resnet18-bmxnet-fp1 and squeezenet",
)
def test_a_trained_one_bit_network_is_deceived(tmp_path: Path) -> None:
    assert "squeezenet" in imagenet_networks() and "quickbrush" not in imagenet_networks()
    path, out = SAMPLE / "n01443537.jpg", tmp_path / "out.png"
    arguments = ("--target", "tench", "--epsilon", "4/255", "--transfer", "squeezenet", "-o", out)
    result = run("attack", path, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["before"][0]["name"] == "goldfish" and found["after"][0]["name"] == "tench"
    assert found["attacks"]["ours"]["content"] > 0 and set(found["transfer"]) == {"squeezenet"}
    assert "n01440764" in run("classify", out, "--top", "1").stdout


def test_a_painting_takes_a_step(folder: Path) -> None:
    result = CliRunner().invoke(app, ["attack", "a.png", "--style", "waves", "--paint-steps", "0"])
    assert result.exit_code == 2 and "--paint-steps" in result.output
