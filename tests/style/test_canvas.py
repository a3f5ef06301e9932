"""Canvases hold the picture they were given, and give every parameter a gradient."""

from __future__ import annotations

import pytest
import torch

from bitbrush.style.canvas import EDGE, FourierCanvas, PixelCanvas, make_canvas
from bitbrush.style.settings import CANVASES

PICTURE = torch.rand(1, 3, 12, 17, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", CANVASES)
@pytest.mark.parametrize(("height", "width"), [(12, 17), (11, 16), (7, 7), (1, 6)])
def test_canvas_gives_back_its_picture(name: str, height: int, width: int) -> None:
    picture = PICTURE[..., :height, :width]
    with torch.no_grad():
        image = make_canvas(name, picture).image()
    torch.testing.assert_close(image, picture, rtol=0, atol=1.1 * EDGE)


def test_fourier_canvas_stays_in_range_and_takes_black_and_white() -> None:
    canvas = FourierCanvas((PICTURE > 0.5).float())
    with torch.no_grad():
        canvas.spectrum *= 1.5
        image = canvas.image()
    assert bool(canvas.spectrum.isfinite().all())
    assert 0 <= float(image.min()) < 1e-3 and 1 - 1e-3 < float(image.max()) <= 1


@pytest.mark.parametrize("name", CANVASES)
def test_gradient_leads_downhill(name: str) -> None:
    canvas = make_canvas(name, PICTURE)
    before = canvas.image().square().mean()
    before.backward()
    (parameter,) = canvas.parameters
    assert parameter.grad is not None
    with torch.no_grad():
        parameter -= 0.01 * parameter.grad / parameter.grad.norm()
    assert float(canvas.image().detach().square().mean()) < float(before.detach())


def test_pixels_are_brought_back_into_range() -> None:
    canvas = PixelCanvas(PICTURE)
    with torch.no_grad():
        canvas.pixels.mul_(4).sub_(1)
    canvas.constrain()
    assert float(canvas.pixels.detach().min()) == 0 and float(canvas.pixels.detach().max()) == 1


def test_canvas_does_not_change_the_picture_it_began_with() -> None:
    picture = PICTURE.clone()
    canvas = PixelCanvas(picture)
    with torch.no_grad():
        canvas.pixels.zero_()
    torch.testing.assert_close(picture, PICTURE, rtol=0, atol=0)
