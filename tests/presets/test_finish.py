"""Each finish does what its name says, on pictures small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.presets import Finish
from bitbrush.presets.finish import finished

BLACK, GREY, WHITE = "#000000", "#808080", "#ffffff"
RED, BLUE = "#ff0000", "#0000ff"


def grey(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)[None, None].expand(1, 3, -1, -1)


def flat(shade: float, side: int = 64) -> Tensor:
    return torch.full((1, 3, side, side), shade)


def inks(image: Tensor) -> list[list[str]]:
    """The picture's pixels as "#rrggbb"."""
    values = (image[0] * 255).round().int().permute(1, 2, 0).tolist()
    return [["#" + bytes(pixel).hex() for pixel in row] for row in values]


def test_tones_without_dither_are_thresholds() -> None:
    two = finished(grey([0.0, 0.4, 0.6, 1.0]), Finish("tones", inks=(RED, BLUE)))
    assert inks(two) == [[RED, RED, BLUE, BLUE]]
    three = finished(grey([0.2, 0.3, 0.7, 0.8]), Finish("tones", inks=(RED, WHITE, BLUE)))
    assert inks(three) == [[RED, WHITE, WHITE, BLUE]]


@pytest.mark.parametrize("dither", ["diffusion", "ordered", "halftone"])
@pytest.mark.parametrize("shade", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_screen_keeps_the_shade_with_two_inks(dither: str, shade: float) -> None:
    across = 8 if dither == "halftone" else None
    finish = Finish("tones", inks=(BLACK, WHITE), dither=dither, across=across)
    screened = finished(flat(shade), finish)
    assert set(screened.unique().tolist()) <= {0.0, 1.0}
    assert float(screened.mean()) == pytest.approx(shade, abs=0.03)


@pytest.mark.parametrize("dither", ["diffusion", "ordered"])
def test_a_screen_of_three_inks_mixes_the_two_nearest(dither: str) -> None:
    screened = finished(flat(0.75), Finish("tones", inks=(BLACK, GREY, WHITE), dither=dither))
    found = {ink for row in inks(screened) for ink in row}
    assert found == {GREY, WHITE}
    assert float(screened.mean()) == pytest.approx(0.75, abs=0.02)


def test_an_ordered_screen_is_bayers() -> None:
    screened = finished(flat(0.5, 4), Finish("tones", inks=(BLACK, WHITE), dither="ordered"))
    assert inks(screened) == [[BLACK, WHITE] * 2, [WHITE, BLACK] * 2] * 2


def test_a_halftone_has_its_cells() -> None:
    finish = Finish("tones", inks=(BLACK, WHITE), dither="halftone", across=8)
    dark = 1 - finished(flat(0.8, 128), finish)[0, 0]
    # Dots of 128 / 8 = 16 px lie on a lattice turned by 45 degrees.
    spectrum = np.abs(np.fft.rfft2(dark - dark.mean()))
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    assert min(row, 128 - row) == column == 6  # 128 / (16 * sqrt 2) = 5.7


def test_posterise_leaves_so_many_colours() -> None:
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for colours in (2, 5):
        found = finished(picture, Finish("posterise", colours=colours))
        assert len(found.flatten(2).unique(dim=2)[0, 0]) == colours


def test_posterise_with_inks_takes_the_nearest() -> None:
    picture = torch.tensor([[0.9, 0.1, 0.1], [0.2, 0.1, 0.7]]).T[None, :, None]
    assert inks(finished(picture, Finish("posterise", inks=(RED, BLUE, WHITE)))) == [[RED, BLUE]]


def test_saturation_and_contrast_come_before() -> None:
    dull = torch.tensor([[0.6, 0.4, 0.4], [0.4, 0.4, 0.6]]).T[None, :, None]
    palette = (RED, BLUE, GREY)
    assert inks(finished(dull, Finish("posterise", inks=palette))) == [[GREY, GREY]]
    vivid = Finish("posterise", inks=palette, saturation=4)
    assert inks(finished(dull, vivid)) == [[RED, BLUE]]
    dark = grey([0.1, 0.2])
    assert inks(finished(dark, Finish("tones", inks=(BLACK, WHITE)))) == [[BLACK, BLACK]]
    bright = Finish("tones", inks=(BLACK, WHITE), contrast=0)
    assert inks(finished(dark, bright)) == [[BLACK, WHITE]]


def test_a_duotone_is_a_ramp_between_its_inks() -> None:
    ramp = grey([0.0, 128 / 255, 1.0])
    assert inks(finished(ramp, Finish("duotone", inks=(BLACK, WHITE)))) == [[BLACK, GREY, WHITE]]
    two = inks(finished(ramp, Finish("duotone", inks=(RED, BLUE))))[0]
    assert (two[0], two[1], two[2]) == (RED, "#7f0080", BLUE)
    three = inks(finished(ramp, Finish("duotone", inks=(RED, WHITE, BLUE))))[0]
    assert (three[0], three[2]) == (RED, BLUE) and three[1][3:] > "f800"


@settings(max_examples=30)
@given(width=st.integers(8, 70), height=st.integers(8, 70), across=st.integers(8, 40))
def test_visible_pixels_are_squares_of_one_size(width: int, height: int, across: int) -> None:
    generator = torch.Generator().manual_seed(width + 100 * height)
    picture = torch.rand(1, 3, height, width, generator=generator)
    found = finished(picture, Finish("posterise", inks=(RED, BLUE, WHITE), across=across))
    assert found.shape == picture.shape
    side = max(1, round(max(width, height) / across))
    for top in range(0, height, side):
        for left in range(0, width, side):
            square = found[..., top : top + side, left : left + side].flatten(2)
            assert (square == square[..., :1]).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "posterise", "colours": 3, "inks": (RED, BLUE)}, "either colours or inks"),
        ({"kind": "posterise", "colours": 3, "dither": "ordered"}, "'ordered' is for tones"),
        ({"kind": "tones", "inks": (RED, BLUE), "dither": "halftone"}, "needs across"),
        ({"kind": "tones", "inks": (RED, BLUE), "saturation": 2.0}, "saturation has no meaning"),
        ({"kind": "duotone", "inks": (RED, BLUE), "dither": "diffusion"}, "dither has no meaning"),
        ({"kind": "duotone", "inks": (RED, BLUE, RED, BLUE)}, "2 to 3 inks, not 4"),
        ({"kind": "tones", "inks": (RED, BLUE), "across": 7}, "across must be between 8"),
        ({"kind": "tones", "inks": (RED, BLUE), "contrast": float("nan")}, "contrast must be"),
    ],
)
def test_what_would_be_ignored_is_an_error(values: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Finish(**values)  # type: ignore[arg-type]
