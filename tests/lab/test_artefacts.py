"""Planted faults are found, and clean pictures have none."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.lab.artefacts import PERIODS, WINDOW, artefacts, border_contrast, lattice, spectrum


def clean(seed: int, height: int = 200, width: int = 260) -> Tensor:
    """Noise whose amplitude falls with frequency, as photographs' does; three colours of one."""
    random = torch.Generator().manual_seed(seed)
    radius = torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.rfftfreq(width) ** 2
    fall = (radius + 1e-4) ** -0.75
    spectra = torch.fft.rfft2(torch.randn(3, height, width, generator=random)) * fall
    layers = torch.fft.irfft2(spectra, s=(height, width))
    layers /= layers.std()
    grey = 0.5 + 0.15 * layers[:1] + 0.03 * layers
    return grey.clamp(0, 1)[None]


STYLE = clean(1)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_clean_pictures_have_nothing(seed: int) -> None:
    found = artefacts(clean(seed), STYLE)
    assert found.grid < 2.5 and found.grid_against_style < 2.5
    assert 0.7 < found.noise < 1.4 and 0.7 < found.chroma_noise < 1.4
    assert 0.6 < found.border < 1.6


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("kind", ["down", "across", "checks"])
def test_a_lattice_is_seen(period: int, kind: str) -> None:
    picture = clean(2)
    y, x = torch.arange(200)[:, None], torch.arange(260)[None]
    # Half a step on, since at the shortest period a sine meets nothing but its zeros.
    wave = {
        "down": torch.sin(2 * math.pi * (y + 0.5) / period).expand(200, 260),
        "across": torch.sin(2 * math.pi * (x + 0.5) / period).expand(200, 260),
        "checks": torch.sin(2 * math.pi * (y + 0.5) / period)
        * torch.sin(2 * math.pi * (x + 0.5) / period),
    }[kind]
    planted = artefacts(picture + 0.04 * wave, STYLE)
    assert planted.grid > 3 and planted.grid > 2 * artefacts(picture, STYLE).grid
    power = spectrum(picture + 0.04 * wave)[0]
    assert max(PERIODS, key=lambda each: lattice(power, each)) == period


@pytest.mark.parametrize("period", PERIODS)
def test_a_lattice_counts_from_where_8_bits_show_it(period: int) -> None:
    random = torch.Generator().manual_seed(3)
    smooth = 0.5 + 1e-4 * torch.randn(1, 3, 200, 260, generator=random)
    wave = torch.sin(2 * math.pi * (torch.arange(260) + 0.5) / period)
    wave /= wave.abs().max()
    grids = [artefacts(smooth + step / 255 * wave, STYLE).grid for step in (0.1, 1, 4)]
    assert grids[0] < 1.2 and 3 < grids[1] < 12 and grids[2] > 30


def test_noise_and_coloured_noise_are_told_apart() -> None:
    random = torch.Generator().manual_seed(0)
    grain = 0.05 * torch.randn(1, 1, 200, 260, generator=random)
    grey = artefacts(clean(2) + grain, STYLE)
    assert grey.noise > 2 and grey.chroma_noise < 1.5
    red = torch.tensor([0.7152, -0.2126, 0.0]).view(1, 3, 1, 1)
    coloured = artefacts(clean(2) + grain * red, STYLE)
    assert coloured.noise < 1.5 and coloured.chroma_noise > 2


def test_a_trace_of_colour_is_no_noise_where_the_style_has_none() -> None:
    grey = STYLE.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    random = torch.Generator().manual_seed(0)
    trace = 0.0005 * torch.randn(1, 3, 200, 260, generator=random)
    assert artefacts(grey + trace, grey).chroma_noise < 2
    assert artefacts(grey + 40 * trace, grey).chroma_noise > 10


def test_a_frame_is_seen() -> None:
    picture = clean(2)
    framed = picture.clone()
    for side in (framed[..., :3, :], framed[..., -3:, :], framed[..., :3], framed[..., -3:]):
        side += torch.tensor([0.2, -0.2, 0.0]).view(1, 3, 1, 1)
    assert border_contrast(framed) > 2 * border_contrast(picture)


def test_a_plain_picture_has_nothing() -> None:
    plain = torch.full((1, 3, 160, 160), 0.4)
    found = artefacts(plain, plain)
    assert found.grid == pytest.approx(1, abs=0.1)
    assert found.noise == pytest.approx(1) and found.border == pytest.approx(1, abs=0.1)


def test_power_is_a_mean_square() -> None:
    random = torch.Generator().manual_seed(0)
    grey = torch.randn(1, 1, 512, 512, generator=random).expand(1, 3, 512, 512)
    assert float(spectrum(grey)[0].sum()) == pytest.approx(1, abs=0.05)
    assert float(spectrum(grey)[1:].sum()) == pytest.approx(0, abs=1e-6)


def test_small_pictures_are_refused() -> None:
    with pytest.raises(InputError, match=str(WINDOW)):
        spectrum(torch.zeros(1, 3, WINDOW - 1, 300))
