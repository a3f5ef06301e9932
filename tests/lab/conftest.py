"""Two contents and two styles, and a laboratory that paints them small and in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bitbrush.classify import top_classes
from bitbrush.images import read_image
from bitbrush.lab.contestants import Contestant
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import sources_of
from bitbrush.weights.bits import save_network
from bitbrush.weights.loading import load_network

JUDGE = "quickbrush"
"""Shipped with the package, so that no weights need be fetched."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """content/ and style/ with soft blots, two pictures each."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for kind, low in (("content", 0), ("style", 128)):
        (root / kind).mkdir()
        for number in range(2):
            small = random.integers(low, 256, (6, 8, 3), dtype=np.uint8)
            picture = Image.fromarray(small).resize((64, 48), Image.Resampling.BICUBIC)
            picture.save(root / kind / f"{kind}{number}.png")
    return root


@pytest.fixture
def make_request(pictures: Path) -> Callable[..., Request]:
    """make_request(networks, pairs=…, **fields): 48 px, 3 steps; weights need not be there."""

    def make(*networks: str | Contestant, pairs: int = 1, **fields: Any) -> Request:
        sources = sources_of(pictures / "content", str(pictures / "style"))[:pairs]
        small = {"size": 48, "steps": 3, "threads": 1} | fields
        known = [
            each if isinstance(each, Contestant) else Contestant(each, "default", each, True)
            for each in networks
        ]
        return Request(sources=sources, networks={each.label: each for each in known}, **small)

    return make


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights of SqueezeNet's, which tells ImageNet's classes, if by chance."""
    path = tmp_path_factory.mktemp("classifier") / "squeezenet.safetensors"
    save_network(load_network("squeezenet", "none"), path, {})
    return path


@pytest.fixture(scope="session")
def named_pictures(
    classifier: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of two pictures, each named by the class that `classifier` takes it for."""
    folder = tmp_path_factory.mktemp("named")
    network = load_network("squeezenet", classifier)
    for number, path in enumerate(sorted((pictures / "content").iterdir())):
        (guess,) = top_classes(network, read_image(path).rgb, 1)
        (folder / f"{guess.wordnet_id}_{number}.png").write_bytes(path.read_bytes())
    return folder
