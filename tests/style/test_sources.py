"""Pictures from files and from memory: the same pixels, or one line that says what is wrong."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bitbrush.errors import InputError
from bitbrush.style import sources as module
from bitbrush.style.sources import as_init, as_picture, as_style

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
FLOATS = PIXELS.astype(np.float32) / 255


def test_every_form_gives_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    tensor = torch.from_numpy(FLOATS).permute(2, 0, 1)
    sources: list[Any] = [
        path,
        str(path),
        Image.fromarray(PIXELS),
        Image.open(path),
        PIXELS,
        FLOATS,
        FLOATS.astype(np.float64),
        tensor,
        tensor[None].double().requires_grad_(True),
        as_picture(path),
    ]
    for source in sources:
        picture = as_picture(source)
        assert picture.rgb.shape == (1, 3, 40, 50) and not picture.rgb.requires_grad
        torch.testing.assert_close(picture.rgb[0], tensor, rtol=0, atol=0)
    in_memory = {as_picture(source).sha256 for source in sources[2:9]}
    assert len(in_memory) == 1
    assert as_picture(PIXELS[:, ::-1].copy()).sha256 not in in_memory


def test_pillow_images_are_read_like_files(tmp_path: Path) -> None:
    """Orientation, palettes with transparency, and 16-bit grey."""
    turned, grey, palette = (tmp_path / name for name in ("turned.png", "grey.png", "palette.png"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(turned, exif=exif)
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(grey)
    Image.fromarray(PIXELS[..., 0] // 64).convert("P").save(palette, transparency=1)
    for path in (turned, grey, palette):
        from_file, in_memory = as_picture(path), as_picture(Image.open(path))
        torch.testing.assert_close(in_memory.rgb, from_file.rgb, rtol=0, atol=0)
        assert (in_memory.alpha is None) == (from_file.alpha is None)
    assert as_picture(Image.open(turned)).rgb.shape == (1, 3, 50, 40)


def test_fourth_channel_is_opacity_and_grey_is_repeated() -> None:
    rgba = np.concatenate([FLOATS, np.full((40, 50, 1), 0.25, np.float32)], axis=2)
    picture = as_picture(rgba)
    assert picture.alpha is not None and float(picture.alpha.mean()) == 0.25
    torch.testing.assert_close(picture.rgb, as_picture(FLOATS).rgb)
    assert bool((as_picture(PIXELS[..., 0]).rgb.std(1) == 0).all())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((40, 50, 2), np.uint8), "not \\[40, 50, 2\\]"),
        (np.zeros((0, 50, 3), np.uint8), "not \\[0, 50, 3\\]"),
        (np.zeros((40, 50), np.int64), "not int64"),
        (np.full((40, 50, 3), 1.5), "in \\[0, 1\\]"),
        (np.full((40, 50, 3), np.nan), "in \\[0, 1\\]"),
        (np.concatenate([FLOATS, FLOATS[..., :1] + 1], axis=2), "in \\[0, 1\\]"),
        (np.zeros((40, 20, 3)), "20x40 px, which is too small"),
        (torch.zeros(2, 3, 40, 40), "not \\[2, 3, 40, 40\\]"),
        (torch.zeros(40, 40, 3), "not \\[40, 40, 3\\]"),
        (torch.full((3, 40, 40), -0.1), "in \\[0, 1\\]"),
        (torch.full((3, 40, 40), torch.inf), "in \\[0, 1\\]"),
        (torch.zeros(3, 40, 40, dtype=torch.uint8), "not torch.uint8"),
        (Image.new("RGB", (8, 8)), "too small"),
        ("missing.png", "missing.png"),
        (None, "not NoneType"),
        (7, "not int"),
    ],
)
def test_what_is_no_picture_is_refused(source: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        as_picture(source)


def test_style_may_be_a_built_in_name_or_nearly() -> None:
    assert as_style("woodcut", 96).rgb.shape == (1, 3, 96, 96)
    with pytest.raises(InputError, match="did you mean 'woodcut'"):
        as_style("woodcat", 96)


def test_init_is_a_word_or_a_picture(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    content = as_picture(PIXELS)
    assert as_init("noise", content) is None
    started = as_init(str(tmp_path / "a.png"), content)
    assert started is not None and started.width == 50 and not started.notes
    with pytest.raises(InputError, match="did you mean 'noise'"):
        as_init("nois", content)


def test_of_an_init_of_another_shape_the_middle_is_taken() -> None:
    square = as_picture(PIXELS[:, :40])
    started = as_init(PIXELS, square)
    assert started is not None
    torch.testing.assert_close(started.rgb, as_picture(PIXELS[:, 5:45]).rgb, rtol=0, atol=0)
    assert started.notes == ("its middle of 40x40 px is used, of the content's shape",)


def test_what_is_transparent_in_a_style_or_an_init_is_white() -> None:
    half = np.concatenate([FLOATS, np.ones((40, 50, 1), np.float32)], axis=2)
    half[:20, :, 3] = 0
    half[20:22, :, 3] = 0.5
    for picture in (as_style(half, 50), as_init(half, as_picture(PIXELS))):
        assert picture is not None and picture.alpha is None
        assert bool((picture.rgb[..., :20, :] == 1).all())
        expected = (as_picture(FLOATS).rgb[..., 20:22, :] + 1) / 2
        torch.testing.assert_close(picture.rgb[..., 20:22, :], expected)
        assert picture.notes == ("its transparent parts are taken for white",)
    half[..., 3] = 1
    solid = as_style(half, 50)
    assert solid.alpha is None and not solid.notes


def test_a_built_in_style_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, int]] = []

    def flat(name: str, size: int) -> np.ndarray[Any, Any]:
        drawn.append((name, size))
        return np.full((size, size, 3), len(drawn), np.uint8)

    monkeypatch.setattr(module, "render_style", flat)
    monkeypatch.setattr(module, "_drawn", lru_cache(maxsize=1)(module._drawn.__wrapped__))
    first, again = (as_style("waves", 96) for _ in range(2))
    assert torch.equal(first.rgb, again.rgb) and len(drawn) == 1
    assert not torch.equal(as_style("waves", 128).rgb[..., :96, :96], first.rgb)
    assert drawn == [("waves", 96), ("waves", 128)]
