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


class Spectra:
    """Pictures of one size as spectra of decorrelated colours.

    Each frequency is scaled by 1 / f, so that an optimiser's steps of equal size change large
    shapes more than fine ones (Olah et al. 2017, Feature Visualization).
    """

    def __init__(self, like: Tensor) -> None:
        """Args:
        like: has their size, device and type.
        """
        self.size = (like.shape[-2], like.shape[-1])
        rows = torch.fft.fftfreq(self.size[0])[:, None]
        columns = torch.fft.rfftfreq(self.size[1])[None]
        lowest = 1 / max(self.size)
        self.scale = (1 / (rows.square() + columns.square()).sqrt().clamp(min=lowest)).to(like)
        self.colour = COLOUR.to(like)

    def of(self, picture: Tensor) -> Tensor:
        """The spectrum [3, H, W // 2 + 1, 2] of a picture [1, 3, H, W]; `picture` inverts it."""
        plain = torch.einsum("dc,chw->dhw", torch.linalg.inv(self.colour), picture[0])
        spectrum = torch.fft.rfft2(plain, norm="ortho") / self.scale
        return torch.view_as_real(spectrum).contiguous()

    def picture(self, spectrum: Tensor) -> Tensor:
        """RGB [1, 3, H, W], not bounded."""
        plain = torch.fft.irfft2(
            torch.view_as_complex(spectrum) * self.scale, s=self.size, norm="ortho"
        )
        return torch.einsum("cd,dhw->chw", self.colour, plain)[None]


class FourierCanvas:
    """The spectrum of decorrelated colours; the picture is clamped to [0, 1] after each step.

    A sigmoid would keep it there, too, but what is white or black in the photograph would have
    next to no gradient behind it, and stay as it is or break up into dots.
    """

    def __init__(self, image: Tensor) -> None:
        """Args:
        image: RGB [1, 3, H, W] in [0, 1] to begin with.
        """
        self._spectra = Spectra(image)
        self.spectrum = self._spectra.of(image.detach()).requires_grad_(True)
        self.parameters = [self.spectrum]

    def image(self) -> Tensor:
        return self._spectra.picture(self.spectrum)

    def constrain(self) -> None:
        with torch.no_grad():
            self.spectrum.copy_(self._spectra.of(self.image().clamp(0, 1)))


class SigmoidCanvas:
    """The same with a sigmoid in place of the clamp, for pictures that begin grey."""

    def __init__(self, image: Tensor) -> None:
        """Args:
        image: RGB [1, 3, H, W] in [0, 1] to begin with.
        """
        self._spectra = Spectra(image)
        logit = torch.logit(image.detach(), EDGE)
        self.spectrum = self._spectra.of(logit).requires_grad_(True)
        self.parameters = [self.spectrum]

    def image(self) -> Tensor:
        return torch.sigmoid(self._spectra.picture(self.spectrum))


def make_canvas(name: str, image: Tensor) -> Canvas:
    """The canvas of that name, holding the image [1, 3, H, W]."""
    return FourierCanvas(image) if name == "fourier" else PixelCanvas(image)
