"""A style's part in an attack: the painting that it begins with, and the painting's loss."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ...engine.rounding import rounding_seed
from ...errors import InputError
from ...quantizers import Estimator, image_estimator
from ...style.loop import HOLD
from ...style.objective import Objective, drawn_view, make_objective
from ...style.paint import Session
from ...style.settings import PaintSettings
from ...style.sources import Source
from ...style.views import blurred
from .loop import Advance


class Painted:
    """A picture painted in a style as `bitbrush paint` does it, and what is lost of that later.

    Args:
        clean: 8-bit, RGB [1, 3, H, W] in [0, 1]; the painting has its size.
        style: as for `paint`.
        settings: of the painting; its size becomes the picture's.
    Raises:
        InputError: as `paint`.
    """

    def __init__(self, clean: Tensor, style: Source, settings: PaintSettings) -> None:
        sized = dataclasses.replace(settings, size=max(clean.shape[-2:]))
        self.session = Session(clean.cpu(), [style], sized)
        self._clean = clean
        self._plain: Tensor | None = None
        self._objective: Objective | None = None
        self._steps = 0

    def paint(self, advance: Advance) -> Tensor:
        """Paints, without any thought of an answer; [1, 3, H, W] in [0, 1].

        Args:
            advance: told how many steps are done.
        """
        for step in self.session.steps():
            advance(step.done, "painting")
            if step.done >= step.steps:
                self._plain = step.picture()
        if self._plain is None:
            raise InputError("a painting needs at least one step")
        return self._plain

    def start(self) -> Tensor:
        """The painting, painted at the first call."""
        return self.paint(lambda done, note: None) if self._plain is None else self._plain

    def gradient(self, picture: Tensor, random: torch.Generator) -> tuple[Tensor, float]:
        """Of the painting's loss at its last scale, smoothed as `paint` does; and that loss.

        Args:
            picture: RGB [1, 3, H, W], of the clean picture's size.
            random: of the views that the painting network gets.
        """
        job = self.session.job
        device = job.network.mean.device
        if self._objective is None:
            self._objective = make_objective(job, self.session.scales[-1], self._clean.to(device))
        settings = job.settings
        if self._steps % HOLD == 0:
            self._objective.look(drawn_view(settings, random, self._steps // HOLD))
        self._steps += 1
        name = settings.estimator
        estimator = None
        if name not in (None, "trained"):
            estimator = Estimator(str(name), settings.estimator_width or 1.0)
        with image_estimator(estimator), rounding_seed(settings.seed):
            gradient, parts = self._objective.gradient(picture.to(device), random)
        return blurred(gradient).to(picture), sum(parts.values())
