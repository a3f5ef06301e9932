"""A share of right answers is measured once, of networks that can be right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bitbrush.cli.lab
from bitbrush.classify import OwnClasses, told_classes
from bitbrush.cli.app import app
from bitbrush.errors import InputError
from bitbrush.lab import accuracy as measuring
from bitbrush.lab.accuracy import Accuracy, accuracies, accuracy_once, labelled, measurable
from bitbrush.lab.contestants import contestants
from bitbrush.networks.taps import Network
from bitbrush.weights.bits import save_network

assert bitbrush.cli.lab


def test_only_trained_weights_that_tell_imagenets_classes_are_measured(
    classifier: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.safetensors"
    save_network(Network("squeezenet", {}), own, told_classes(OwnClasses(("cat", "dog"), 64)))
    blind = ["quickbrush-small", "squeezenet=none", f"squeezenet={own}"]
    found = contestants([*blind, f"squeezenet={classifier}"])
    assert [by.weights for by in measurable(found.values())] == [str(classifier)]
    with pytest.raises(InputError, match="leave out --images"):
        measurable(contestants(blind).values())


def test_what_was_measured_is_not_measured_again(
    classifier: Path, named_pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (by,) = contestants([f"squeezenet={classifier}"]).values()
    pictures = labelled(named_pictures)
    told: list[tuple[float, str]] = []
    found = accuracies(tmp_path, [by], pictures, lambda *each: told.append(each))
    assert found == {by.label: Accuracy(pictures=2, top1=2, top5=2)}
    assert told == [(0.5, f"measuring {by.label}"), (1.0, f"measuring {by.label}")]
    other = Accuracy(pictures=1, top1=0, top5=0)
    monkeypatch.setattr(measuring, "accuracy", lambda *each: other)
    assert accuracy_once(tmp_path, by, pictures) == found[by.label]
    assert accuracy_once(tmp_path, by, pictures[:1]) == other
    for kept in (tmp_path / "measured").iterdir():
        kept.write_text("{")
    assert accuracy_once(tmp_path, by, pictures) == other


def words(pictures: Path, *networks: str) -> list[str]:
    """Of a laboratory of one pair that is painted in a moment."""
    found = ["lab", "networks", "--content", str(pictures / "content" / "content0.png")]
    found += ["--style", str(pictures / "style" / "style0.png"), "--judge", "none"]
    found += ["--size", "48", "--steps", "1"]
    for network in networks:
        found += ["--network", network]
    return [*found, "--threads", "1"]


def test_networks_tell_how_often_they_are_right(
    classifier: Path,
    named_pictures: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    networks = ["quickbrush-small", f"squeezenet={classifier}", "squeezenet=none"]
    asked = [*words(pictures, *networks), "--images", str(named_pictures), "-o", str(tmp_path)]
    result = CliRunner().invoke(app, [*asked, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["paintings"] == told["planned"] == 12
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    # Neither a network without classes nor a control has a share.
    assert re.findall(r"[\d.]+ % \(\d+ to \d+\)", text) == ["100.0 % (34 to 100)"]
    assert "Top-1 measured on 2 pictures" in text
    # It is measured before anything is painted, and once.
    (kept,) = (tmp_path / "measured").iterdir()
    paintings = (tmp_path / "paintings").iterdir()
    assert kept.stat().st_mtime_ns < min(each.stat().st_mtime_ns for each in paintings)
    monkeypatch.setattr(measuring, "accuracy", lambda *each: pytest.fail("measured again"))
    again = CliRunner().invoke(app, [*asked, "--json"])
    assert json.loads(again.stdout) == told


def test_pictures_for_nothing_are_refused_before_anything_is_written(
    classifier: Path, named_pictures: Path, pictures: Path, tmp_path: Path
) -> None:
    own = f"squeezenet={classifier}"
    small = "quickbrush-small"
    compress = ["lab", "compress", "--network", small]
    for asked, images, said in (
        (words(pictures, small), named_pictures, "none of the networks tells ImageNet's"),
        (compress, named_pictures, "none of the networks tells ImageNet's"),
        (words(pictures, own), pictures, "is named by its class"),
        ([*words(pictures, own), "--size", "20"], named_pictures, "too small"),
    ):
        rest = ["--images", str(images), "-o", str(tmp_path / "lab")]
        result = CliRunner().invoke(app, [*asked, *rest])
        assert result.exit_code == 2 and said in result.stderr, result.output
        assert not (tmp_path / "lab").exists()
