"""Canvases hold the picture they were given, and give every parameter a gradient."""

from __future__ import annotations

import pytest
import torch

from bitbrush.style.canvas import (
    EDGE,
    FourierCanvas,
    PixelCanvas,
    SigmoidCanvas,
    make_canvas,
)
from bitbrush.style.settings import CANVASES

PICTURE = torch.rand(1, 3, 12, 17, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("canvas", [PixelCanvas, FourierCanvas, SigmoidCanvas])
@pytest.mark.parametrize(("height", "width"), [(12, 17), (11, 16), (7, 7), (1, 6)])
def test_canvas_gives_back_its_picture(
    canvas: type[PixelCanvas | FourierCanvas | SigmoidCanvas], height: int, width: int
) -> None:
    picture = PICTURE[..., :height, :width]
    with torch.no_grad():
        image = canvas(picture).image()
    apart = 1.1 * EDGE if canvas is SigmoidCanvas else 1e-5
    torch.testing.assert_close(image, picture, rtol=0, atol=apart)


def test_sigmoid_canvas_stays_in_range_and_takes_black_and_white() -> None:
    canvas = SigmoidCanvas((PICTURE > 0.5).float())
    with torch.no_grad():
        canvas.spectrum *= 1.5
        image = canvas.image()
    assert bool(canvas.spectrum.isfinite().all())
    assert 0 <= float(image.min()) < 1e-3 and 1 - 1e-3 < float(image.max()) <= 1


@pytest.mark.parametrize("name", CANVASES)
def test_white_is_no_dead_end(name: str) -> None:
    """A step against the light takes as much of it from white as from grey."""
    changes = []
    for level in (1.0, 0.5):
        canvas = make_canvas(name, torch.full((1, 3, 8, 8), level))
        canvas.image().mean().backward()
        (parameter,) = canvas.parameters
        with torch.no_grad():
            parameter -= parameter.grad
            changes.append(level - float(canvas.image().mean()))
    assert changes[0] == pytest.approx(changes[1], rel=1e-3)


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


@pytest.mark.parametrize("name", CANVASES)
def test_pictures_are_brought_back_into_range(name: str) -> None:
    canvas, white = make_canvas(name, PICTURE), make_canvas(name, torch.ones_like(PICTURE))
    with torch.no_grad():
        canvas.parameters[0].mul_(4).sub_(white.parameters[0])
        wild = canvas.image().detach().clone()
        canvas.constrain()
        image = canvas.image().detach()
    assert float(wild.min()) < -0.9 and float(wild.max()) > 2
    torch.testing.assert_close(image, wild.clamp(0, 1), rtol=0, atol=1e-5)


def test_canvas_does_not_change_the_picture_it_began_with() -> None:
    picture = PICTURE.clone()
    canvas = PixelCanvas(picture)
    with torch.no_grad():
        canvas.pixels.zero_()
    torch.testing.assert_close(picture, PICTURE, rtol=0, atol=0)
