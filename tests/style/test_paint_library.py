"""bitbrush.paint: pictures of every kind in, a Painting out; the settings around the loop."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import bitbrush
from bitbrush.engine.freeze import freeze
from bitbrush.errors import InputError
from bitbrush.images import read_image, read_metadata
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.style.paint import Painting, Session, threads, weights_hash
from bitbrush.style.settings import make_settings
from bitbrush.train.classifier import one_bit_weights
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
    before = torch.get_num_threads()
    session = Session(CONTENT, [STYLE], make_settings(SMALL | {"threads": before + 1}))
    steps = session.steps()
    next(steps)
    assert torch.get_num_threads() == before + 1
    steps.close()
    assert torch.get_num_threads() == before


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


def test_two_paintings_at_a_time_leave_the_threads_as_they_were() -> None:
    usual = torch.get_num_threads()
    begun, ended = Event(), Event()

    def first() -> None:
        with threads(usual + 1):
            begun.set()
            ended.wait(60)

    one = Thread(target=first)
    one.start()
    begun.wait(60)
    found = []

    def second() -> None:
        # What is not said is what is usual, not what the first has set.
        session = Session(CONTENT, [STYLE], make_settings({**SMALL, "threads": None}))
        found.append(session.threads)
        with threads(usual + 2):
            ended.set()
            one.join(60)

    for work in (second, lambda: found.append(torch.get_num_threads())):
        later = Thread(target=work)
        later.start()
        later.join(60)
    assert found == [usual, usual]


def test_a_narrow_style_is_seen_at_the_scales_that_it_fits() -> None:
    narrow_style = np.ascontiguousarray(STYLE[:32].repeat(8, axis=1))
    settings = {**SMALL, "size": 128, "min_size": 32}
    session = Session(CONTENT, [STYLE], make_settings(settings))
    assert [scale.width for scale in session.scales] == [64, 128]
    session = Session(CONTENT, [narrow_style], make_settings({**settings, "style_size": 300}))
    assert [scale.width for scale in session.scales] == [128]
    with pytest.raises(InputError, match=r"a style is too small or too narrow .*--style-size"):
        Session(CONTENT, [narrow_style], make_settings(settings))


def test_the_hash_of_a_packed_network_is_of_its_bits() -> None:
    one, other = narrow(0).settle(), narrow(0)
    last = list(one_bit_weights(other))[-1]
    with torch.no_grad():
        last.view(-1)[0].neg_()
    assert weights_hash(freeze(one)) == weights_hash(freeze(narrow(0).settle()))
    assert weights_hash(freeze(one)) != weights_hash(freeze(other.settle()))
