"""What is optimised: the pixels themselves, or their spectrum."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

# Colour decorrelation: the columns span RGB with independent axes of natural pictures; the values
# are those of Mordvintsev et al. 2018 (Differentiable Image Parameterizations).
_COLOUR = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOUR = _COLOUR / _COLOUR.norm(dim=0).max()

EDGE = 1e-3
"""Pixels are kept this far from 0 and 1 before the logit, where it would be infinite."""


class Canvas(Protocol):
    """A picture in the form that the optimiser changes."""

    parameters: list[Tensor]

    def image(self) -> Tensor:
        """RGB [1, 3, H, W], differentiable with respect to the parameters."""

    def constrain(self) -> None:
        """Brings the parameters back to where the picture lies in [0, 1]."""


class PixelCanvas:
    """The pixels, clamped to [0, 1] after each step."""

    def __init__(self, image: Tensor) -> None:
        """Args:
        image: RGB [1, 3, H, W] in [0, 1] to begin with.
        """
        self.pixels = image.detach().clone().requires_grad_(True)
        self.parameters = [self.pixels]

    def image(self) -> Tensor:
        return self.pixels

    def constrain(self) -> None:
        with torch.no_grad():
            self.pixels.clamp_(0, 1)


class FourierCanvas:
    """The spectrum of decorrelated colours; a sigmoid keeps the picture in [0, 1].

    Each frequency is scaled by 1 / f, so that an optimiser's steps of equal size change large
    shapes more than fine ones (Olah et al. 2017, Feature Visualization).
    """

    def __init__(self, image: Tensor) -> None:
        """Args:
        image: RGB [1, 3, H, W] in [0, 1] to begin with; the inverse gives it back.
        """
        self.size = (image.shape[-2], image.shape[-1])
        rows = torch.fft.fftfreq(self.size[0])[:, None]
        columns = torch.fft.rfftfreq(self.size[1])[None]
        lowest = 1 / max(self.size)
        self.scale = (1 / (rows.square() + columns.square()).sqrt().clamp(min=lowest)).to(image)
        self.colour = COLOUR.to(image)
        logit = torch.logit(image.detach()[0], EDGE)
        plain = torch.einsum("dc,chw->dhw", torch.linalg.inv(self.colour), logit)
        spectrum = torch.fft.rfft2(plain, norm="ortho") / self.scale
        self.spectrum = torch.view_as_real(spectrum).contiguous().requires_grad_(True)
        self.parameters = [self.spectrum]

    def image(self) -> Tensor:
        spectrum = torch.view_as_complex(self.spectrum) * self.scale
        plain = torch.fft.irfft2(spectrum, s=self.size, norm="ortho")
        return torch.sigmoid(torch.einsum("cd,dhw->chw", self.colour, plain))[None]

    def constrain(self) -> None:
        """The sigmoid already keeps the picture in range."""


def make_canvas(name: str, image: Tensor) -> Canvas:
    """The canvas of that name, holding the image [1, 3, H, W]."""
    return FourierCanvas(image) if name == "fourier" else PixelCanvas(image)
