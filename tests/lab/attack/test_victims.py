"""Networks of other classes than ImageNet's are known before anything is attacked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitbrush.classify import OwnClasses, told_classes
from bitbrush.errors import InputError
from bitbrush.lab.attack.victims import imagenet_networks, require_imagenet
from bitbrush.networks.taps import Network
from bitbrush.weights.bits import save_network


def saved(path: Path, **metadata: str) -> str:
    """A file of ours, of which nothing but its metadata is looked at."""
    save_network(Network("squeezenet", {}), path, metadata)
    return str(path)


def test_a_network_of_other_classes_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "own.safetensors", classes="100")
    with pytest.raises(InputError, match="own.safetensors knows 100 classes of its own"):
        require_imagenet("squeezenet", path)


def test_a_thousand_other_classes_are_refused(tmp_path: Path) -> None:
    own = told_classes(OwnClasses(tuple(f"brand {number}" for number in range(1000)), 64))
    path = saved(tmp_path / "own.safetensors", **own)
    with pytest.raises(InputError, match="knows 1000 classes of its own, not ImageNet's"):
        require_imagenet("squeezenet", path)


def test_others_are_none_of_its_business(tmp_path: Path) -> None:
    require_imagenet("squeezenet", saved(tmp_path / "whole.safetensors", classes="1000"))
    require_imagenet("squeezenet", saved(tmp_path / "published.safetensors"))
    (tmp_path / "torch.pth").write_bytes(b"PK\x03\x04")
    require_imagenet("squeezenet", tmp_path / "torch.pth")
    require_imagenet("squeezenet", "none")


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("squeezenett", "none", "did you mean 'squeezenet'"),
        ("quickbrush", "none", "quickbrush has no classifier"),
        ("squeezenet", "absent.safetensors", "there is no such file"),
    ],
)
def test_what_cannot_be_had_is_refused(name: str, weights: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        require_imagenet(name, weights)


def test_networks_of_other_classes_are_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = saved(tmp_path / "own.safetensors", classes="100")
    whole = saved(tmp_path / "whole.safetensors", classes="1000")
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BITBRUSH_WEIGHTS", f"squeezenet={own},vgg16={whole},vgg19-16x={whole}")
    assert imagenet_networks() == ["vgg16"]
