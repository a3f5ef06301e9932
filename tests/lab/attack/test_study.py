"""A plan with its networks: what it is told by, whom it refuses, and what it keeps of a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from bitbrush.classify import imagenet_classes
from bitbrush.errors import InputError
from bitbrush.images import Picture
from bitbrush.lab.attack.loop import AttackSettings
from bitbrush.lab.attack.study import Plan, Study
from bitbrush.networks.taps import Network
from bitbrush.weights.bits import save_network

PLAN = Plan("squeezenet", "none", judge=None, settings=AttackSettings(steps=2))


@pytest.fixture
def networks(colours: Callable[[int, int], Network], monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks in place of two large ones."""
    made = {name: colours(1000, seed) for seed, name in enumerate(("squeezenet", "vgg16"))}

    def load(name: str, *arguments: Any, **options: Any) -> Network:
        return made[name]

    monkeypatch.setattr("bitbrush.lab.attack.study.load_network", load)


def own_file(path: Path, classes: str) -> Path:
    save_network(Network("vgg16", {}), path, {"classes": classes})
    return path


def test_a_style_counts_by_what_is_in_its_file(tmp_path: Path) -> None:
    style = tmp_path / "style.png"
    plan = dataclasses.replace(PLAN, style=str(style), painter="quickbrush-small")
    held = []
    for content in (b"one", b"other", b"one"):
        style.write_bytes(content)
        held.append(plan.as_json())
    assert held[0] == held[2] != held[1]
    assert dataclasses.replace(plan, style="waves").as_json()["painting_sha256"]["style"] is None
    assert "painting_sha256" not in PLAN.as_json()


def test_a_painter_counts_by_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "painter.bin"
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BITBRUSH_WEIGHTS", f"vgg19-16x={weights}")
    held = []
    for content in (b"one", b"other", b"one"):
        weights.write_bytes(content)
        held.append(dataclasses.replace(PLAN, style="waves", painter="vgg19-16x").as_json())
    assert held[0] == held[2] != held[1]


@pytest.mark.usefixtures("networks")
def test_networks_of_other_classes_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_file(tmp_path / "own.safetensors", "100")
    with pytest.raises(InputError, match="squeezenet in .* knows 100 classes"):
        Study(dataclasses.replace(PLAN, weights=str(own)))
    monkeypatch.setenv("BITBRUSH_WEIGHTS", f"vgg16={own}")
    with pytest.raises(InputError, match="vgg16 in .* knows 100 classes"):
        Study(dataclasses.replace(PLAN, transfer=("vgg16",)))


@pytest.mark.usefixtures("networks")
def test_what_another_network_answered_before_is_kept(
    clean: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "BITBRUSH_WEIGHTS", f"vgg16={own_file(tmp_path / 'whole.safetensors', '1000')}"
    )
    study = Study(dataclasses.replace(PLAN, transfer=("vgg16",)))
    row = study.look(Picture(clean, None, (), "picture.png", "0" * 64)).row
    answer = int(study.others["vgg16"].logits(clean)[0].argmax())
    assert row["transfer_before"] == {"vgg16": imagenet_classes()[answer][0]}
    assert row["transfer_before"]["vgg16"] != row["before"][0]["wordnet_id"]
    assert set(row["transfer"]["vgg16"]) == {"ours"}
