"""The distribution of a style's colours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bitbrush.style.palette import POSITIONS, Palette


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def two_colours(share: float, height: int = 40, width: int = 50) -> Tensor:
    """A picture of dark blue with a share of yellow, in random places."""
    chosen = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(1)) < share
    blue, yellow = (torch.tensor(c).view(1, 3, 1, 1) for c in ((0.1, 0.1, 0.5), (0.9, 0.8, 0.1)))
    return torch.where(chosen, yellow, blue)


def test_a_picture_has_its_own_palette_in_any_arrangement_and_size(random: torch.Generator) -> None:
    style = two_colours(0.3)
    palette = Palette(style)
    assert float(palette.distance(style.flip(3), random)) == pytest.approx(0, abs=1e-5)
    larger = style.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert float(palette.distance(larger, random)) < 2e-3


def test_tints_are_told_apart_though_mean_and_covariance_agree(random: torch.Generator) -> None:
    style = two_colours(0.5, 64, 64)
    mean = style.mean((2, 3), keepdim=True)
    axis = (style - mean).std((2, 3), keepdim=True) * (style - mean)[..., :1, :1].sign()
    generator = torch.Generator().manual_seed(2)
    tinted = mean + axis * torch.randn(1, 1, 64, 64, generator=generator)
    assert float(Palette(style).distance(tinted, random)) > 0.05


def test_distance_is_relative_to_the_variance(random: torch.Generator) -> None:
    style, other = two_colours(0.3), two_colours(0.7)
    state = random.get_state()
    plain = float(Palette(style).distance(other, random))
    random.set_state(state)
    faint = float(Palette(style / 4).distance(other / 4, random))
    assert faint == pytest.approx(plain, rel=1e-4)


def test_a_style_of_one_colour_gives_a_finite_distance(random: torch.Generator) -> None:
    palette = Palette(torch.full((1, 3, 20, 20), 0.5))
    assert float(palette.distance(two_colours(0.5), random)) < 1e5


def test_every_pixel_of_a_large_picture_has_a_gradient(random: torch.Generator) -> None:
    # The sides are multiples of the averaged cells.
    picture = torch.rand(1, 3, 384, 512, generator=random).requires_grad_(True)
    assert picture.shape[-2] * picture.shape[-1] > POSITIONS
    distance = Palette(two_colours(0.3)).distance(picture, random)
    (gradient,) = torch.autograd.grad(distance, picture)
    assert bool((gradient.abs().sum(1) > 0).all())
