"""bitbrush.paint: pictures of every kind in, a Painting out; the settings around the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import bitbrush
from bitbrush.errors import InputError
from bitbrush.images import read_image, read_metadata
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.style.paint import Painting, Session
from bitbrush.style.settings import make_settings
from bitbrush.weights.bits import save_network

CONTENT, STYLE = (
    np.random.default_rng(seed).integers(0, 256, (40, 52, 3), dtype=np.uint8) for seed in (1, 2)
)
SMALL: dict[str, Any] = {"weights": "none", "size": 64, "steps": 3, "threads": 1}


def narrow(seed: int) -> QuickBrush:
    """quickbrush with fewer channels, which has the same taps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return QuickBrush(stem=8, widths=(64, 64, 64, 64))


@pytest.fixture(autouse=True)
def narrow_quickbrush(monkeypatch: pytest.MonkeyPatch) -> None:
    from bitbrush.weights import importing, loading

    build = importing.build

    def built(name: str, pooling: Any = None) -> Any:
        return narrow(0) if (name, pooling) == ("quickbrush", None) else build(name, pooling)

    monkeypatch.setattr(loading, "build", built)
    monkeypatch.setattr(importing, "build", built)


def paint(content: Any = CONTENT, style: Any = STYLE, **settings: Any) -> Painting:
    return bitbrush.paint(content, style, **(SMALL | settings))


def different(one: Painting, other: Painting) -> bool:
    return float((one.image - other.image).abs().max()) > 1e-3


def test_every_form_of_the_pictures_gives_the_same_painting(tmp_path: Path) -> None:
    painting = paint()
    assert painting.image.shape == (1, 3, 49, 64) and painting.alpha is None
    assert float(painting.image.min()) >= 0 and float(painting.image.max()) <= 1
    path = tmp_path / "style.png"
    Image.fromarray(STYLE).save(path)
    tensor = torch.from_numpy(CONTENT).permute(2, 0, 1) / 255
    for content, style in (
        (Image.fromarray(CONTENT), path),
        (tensor, [str(path)]),
        (tensor[None], Image.open(path)),
    ):
        torch.testing.assert_close(paint(content, style).image, painting.image, rtol=0, atol=0)


def test_painting_says_how_it_was_made_and_is_saved(tmp_path: Path) -> None:
    painting = paint(style=[STYLE, "woodcut"], style_weights=(3, 1), seed=5)
    assert painting.settings == make_settings(SMALL | {"style_weights": (3, 1), "seed": 5})
    assert {name.partition("/")[0] for name in painting.losses} == {
        "style",
        "content",
        "colour",
        "tv",
    }
    assert len(painting.history) == 3
    assert sum(painting.losses.values()) == pytest.approx(painting.history[-1])
    painting.save(tmp_path / "out.png")
    written = read_image(tmp_path / "out.png").rgb
    assert float((written - painting.image).abs().max()) <= 0.5 / 255 + 1e-6
    metadata = read_metadata(tmp_path / "out.png")
    assert metadata["settings"]["seed"] == 5 and metadata["resolved"]["learning_rate"] == 0.045
    assert (metadata["width"], metadata["height"]) == (64, 49)
    assert metadata["styles"][1]["name"] == "woodcut"


def test_opacity_of_the_content_is_kept(tmp_path: Path) -> None:
    alpha = np.zeros((40, 52, 1), np.uint8)
    alpha[:, 26:] = 255
    painting = paint(np.concatenate([CONTENT, alpha], axis=2))
    assert painting.alpha is not None and painting.alpha.shape == (1, 1, 49, 64)
    assert (
        float(painting.alpha[..., :20].max()) == 0 and float(painting.alpha[..., 44:].min()) > 0.999
    )
    painting.save(tmp_path / "out.png")
    assert Image.open(tmp_path / "out.png").mode == "RGBA"


def test_luminance_transfer_takes_the_contents_colours() -> None:
    kept, plain = paint(preserve_colours="luminance", size=52), paint(size=52)
    content = torch.from_numpy(CONTENT).permute(2, 0, 1)[None] / 255
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)

    def colours(image: torch.Tensor) -> torch.Tensor:
        return image - (image * luma).sum(1, keepdim=True)

    inside = ((kept.image > 0) & (kept.image < 1)).all(1, keepdim=True).expand_as(kept.image)
    assert float(inside.float().mean()) > 0.2
    error = (colours(kept.image) - colours(content))[inside].abs().max()
    assert float(error) < 1e-5
    assert float((colours(plain.image) - colours(content))[inside].abs().max()) > 0.05


def test_init_file_is_where_it_begins(tmp_path: Path) -> None:
    Image.fromarray(255 - CONTENT).save(tmp_path / "a.png")
    begun = paint(init=tmp_path / "a.png", learning_rate=1e-6, steps=1, size=52)
    expected = torch.from_numpy(255 - CONTENT).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(begun.image, expected, rtol=0, atol=1e-4)
    assert begun.metadata["settings"]["init"] == "a.png", "no folder is told"
    with pytest.raises(InputError, match="did you mean 'content'"):
        paint(init="contents")


def test_network_weights_and_pooling_decide(tmp_path: Path) -> None:
    plain = paint()
    squeezenet = paint(network="squeezenet")
    assert different(plain, squeezenet)
    assert different(squeezenet, paint(network="squeezenet", pooling="average"))
    with pytest.raises(InputError, match="does not pool"):
        Session(
            CONTENT, [STYLE], make_settings({"network": "quickbrush", "pooling": "max"} | SMALL)
        )
    save_network(narrow(1), tmp_path / "own.safetensors", {})
    own = paint(weights=tmp_path / "own.safetensors")
    assert different(plain, own)
    assert own.metadata["settings"]["weights"] == "own.safetensors"
    assert own.metadata["weights_sha256"] and not plain.metadata["weights_sha256"]


def test_threads_are_used_and_given_back() -> None:
    session = Session(CONTENT, [STYLE], make_settings(SMALL | {"threads": 2}))
    steps = session.steps()
    next(steps)
    assert torch.get_num_threads() == 2
    steps.close()
    assert torch.get_num_threads() == 1


def test_loading_takes_no_more_threads_than_painting(monkeypatch: pytest.MonkeyPatch) -> None:
    # Painters beside each other would wait for one another's.
    from bitbrush.style import paint as module

    seen: list[int] = []
    for name in ("as_picture", "as_style", "load_network", "check_memory"):
        whole = getattr(module, name)

        def watched(*args: Any, whole: Any = whole, **options: Any) -> Any:
            seen.append(torch.get_num_threads())
            return whole(*args, **options)

        monkeypatch.setattr(module, name, watched)
    before = torch.get_num_threads()
    Session(CONTENT, [STYLE], make_settings(SMALL | {"threads": 3}))
    assert seen == [3] * 4 and torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"engine": "packd"}, "did you mean 'packed'"),
        ({"precision": "bf61"}, "did you mean 'bf16'"),
        ({"device": "cudda"}, "did you mean 'cuda'"),
        ({"weights": "nowhere.safetensors"}, "no such file"),
        ({"style_taps": "stage2.block9"}, "did you mean 'stage2.block"),
        ({"size": 20}, "choose a larger --size"),
    ],
)
def test_what_cannot_be_painted_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        paint(**settings)
