"""The built-in styles: the same every time and at every size, rich in colour and in texture."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bitbrush.errors import InputError
from bitbrush.styles import LARGEST, SMALLEST, STYLES, render_style, style_names

Picture = npt.NDArray[np.uint8]
rendered = functools.cache(render_style)


def reduced(picture: Picture, size: int) -> npt.NDArray[np.float64]:
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float64)


def test_there_are_enough_and_each_says_what_it_is() -> None:
    assert len(style_names()) >= 8
    assert len({spec.description for spec in STYLES.values()}) == len(STYLES)
    assert all(name == spec.name and "\n" not in spec.description for name, spec in STYLES.items())


@pytest.mark.parametrize("name", style_names())
def test_picture_is_square_colourful_and_textured_everywhere(name: str) -> None:
    picture = rendered(name, 192)
    assert picture.shape == (192, 192, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 40, "contrast over the whole picture"
    # How many of 4 x 4 x 4 boxes of colour hold at least one pixel in two hundred.
    boxes = np.bincount((picture // 64 @ np.array([16, 4, 1])).ravel(), minlength=64)
    assert (boxes > picture.shape[0] ** 2 / 200).sum() >= 9
    # No sixth of the width may be empty: paint fills the frame.
    tiles = picture.reshape(6, 32, 6, 32, 3).astype(np.float64)
    assert tiles.std(axis=(1, 3)).mean(axis=-1).min() > 8


def test_the_same_picture_every_time() -> None:
    for name in ("waves", "pointillism"):
        np.testing.assert_array_equal(render_style(name, 192), rendered(name, 192))


def test_no_two_styles_are_alike() -> None:
    small = [reduced(rendered(name, 192), 24) for name in style_names()]
    for i, one in enumerate(small):
        for other in small[:i]:
            assert np.abs(one - other).mean() > 20


@pytest.mark.parametrize("name", style_names())
def test_composition_is_the_same_at_every_working_size(name: str) -> None:
    # 192 px is painted at 1024 px and reduced; here it is painted at another size.
    painted = (np.clip(STYLES[name].paint(320), 0, 1) * 255).astype(np.uint8)
    there, here = reduced(painted, 32), reduced(rendered(name, 192), 32)
    other = reduced(rendered(style_names()[style_names().index(name) - 1], 192), 32)
    assert np.abs(there - here).mean() < 0.25 * np.abs(there - other).mean()


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'mosaic'"):
        render_style("mosiac")


@pytest.mark.parametrize("size", [SMALLEST - 1, LARGEST + 1])
def test_impossible_size(size: int) -> None:
    with pytest.raises(InputError, match=f"not at {size} px"):
        render_style("mosaic", size)


def test_names_need_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, bitbrush.styles as s; s.style_names(); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'PIL')))"
    )
    source = Path(__file__).parents[2] / "src"
    assert subprocess.run([sys.executable, "-c", code], cwd=source).returncode == 0
