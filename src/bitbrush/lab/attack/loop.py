"""Our own attack: steps on the picture against the gradient through a one-bit network.

The network is always shown the 8-bit picture that would be saved; its gradient is taken over to
the picture with real numbers behind it, as a straight-through estimator does with weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...engine.rounding import rounding_seed
from ...errors import InputError, PaintingError, unknown_name
from ...quantizers import ESTIMATORS, Estimator, image_estimator
from .budget import Budget
from .objective import LOSSES, Aim, Classifier, seen_pixels

FIRST, LAST = 0.4, 0.05
"""Length of the first and the last step, of a budget's reach."""

MOMENTUM = 0.75

Advance = Callable[[int, str], None]
"""Told how many steps are done, and a remark."""


def _nobody(done: int, note: str) -> None:
    pass


@dataclass(frozen=True)
class AttackSettings:
    """How an attack goes about it.

    Attributes:
        steps: on the picture, of each try.
        restarts: tries at most; all but the first begin at a random picture within the budget.
        loss: "margin" or "cross-entropy" of the logits.
        estimator: of the gradient of sign; "trained" or None: each layer's own.
        confidence: probability of the wanted answer at which a try ends; 0 ends at its first.
        seed: of everything random.
    Raises:
        InputError: a value out of its range or an unknown choice.
    """

    steps: int = 40
    restarts: int = 1
    loss: str = "margin"
    estimator: str | None = None
    confidence: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 100_000:
            raise InputError(f"--steps must be between 1 and 100000, not {self.steps}")
        if not 1 <= self.restarts <= 1000:
            raise InputError(f"--restarts must be between 1 and 1000, not {self.restarts}")
        if not 0 <= self.confidence < 1:
            raise InputError(f"--confidence must be at least 0 and below 1, not {self.confidence}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--seed must be between 0 and 2^63 - 1, not {self.seed}")
        if self.loss not in LOSSES:
            raise unknown_name("loss", self.loss, LOSSES)
        if self.estimator not in (None, "trained", *ESTIMATORS):
            raise unknown_name("estimator", str(self.estimator), ("trained", *ESTIMATORS))

    @property
    def enough(self) -> float:
        """The margin in logits without which that confidence cannot be."""
        share = max(self.confidence, 0.5)
        return math.log(share / (1 - share))

    def image_estimator(self) -> Estimator | None:
        """For `quantizers.image_estimator`."""
        name = self.estimator
        return None if name in (None, "trained") else Estimator(str(name))


class Style(Protocol):
    """A painting's loss, beside that of the answer."""

    def start(self) -> Tensor:
        """The painting to begin with, [1, 3, H, W]."""

    def gradient(self, picture: Tensor, random: torch.Generator) -> tuple[Tensor, float]:
        """Of the painting's loss to a picture, and that loss."""


@dataclass(frozen=True)
class Attacked:
    """The best picture of an attack.

    Attributes:
        picture: 8-bit, RGB [1, 3, H, W] in [0, 1], within the budget.
        margin: of the wanted answer over the best unwanted one, in logits.
        loss: of the painting; 0 without style.
        restart: the try that it is from, counted from 0.
        steps: gradients that were taken in all.
        blocked: how many of them were 0 everywhere.
    """

    picture: Tensor
    margin: float
    loss: float
    restart: int
    steps: int
    blocked: int

    @property
    def reached(self) -> bool:
        return self.margin > 0


def attack(
    classifier: Classifier,
    clean: Tensor,
    aim: Aim,
    budget: Budget,
    settings: AttackSettings,
    style: Style | None = None,
    advance: Advance = _nobody,
) -> Attacked:
    """Changes a picture within its budget until the network answers as wanted.

    Args:
        classifier: that is deceived.
        clean: 8-bit, [1, 3, H, W] in [0, 1], on the network's device.
        style: also painted in; all steps are then taken, for the picture's sake.
    Raises:
        PaintingError: a gradient is no number.
    """
    random = torch.Generator().manual_seed(settings.seed)
    tries = _Tries(classifier, clean, aim, budget, settings, style, random, advance)
    for restart in range(settings.restarts):
        tries.run(restart)
        if tries.best is not None and tries.best[0] > 0:
            break
    return tries.result()


class _Tries:
    """What the tries of an attack share: the best picture so far, and how much was spent."""

    def __init__(
        self,
        classifier: Classifier,
        clean: Tensor,
        aim: Aim,
        budget: Budget,
        settings: AttackSettings,
        style: Style | None,
        random: torch.Generator,
        advance: Advance,
    ) -> None:
        self.classifier, self.clean, self.aim, self.budget = classifier, clean, aim, budget
        self.settings, self.style, self.random, self.advance = settings, style, random, advance
        self.seen = seen_pixels(clean)
        self.steps = self.blocked = 0
        # Margin, loss, try, picture.
        self.best: tuple[float, float, int, Tensor] | None = None

    def run(self, restart: int) -> None:
        """One try."""
        settings = self.settings
        x = self._start(restart)
        momentum = torch.zeros_like(x)
        for step in range(settings.steps + 1):
            x, picture = self.budget.project(x)
            last = step == settings.steps
            margin, certain, answer = self._answer(picture, gradient=not last)
            painting, loss = self._painting(picture)
            self._keep(margin, loss, restart, picture)
            self.advance(self.steps, f"margin {margin:+.2f}")
            if last or (certain and self.style is None):
                return
            self.steps += 1
            assert answer is not None
            self.blocked += int(not bool(answer.any()))
            direction = self._direction(answer, painting, margin)
            momentum = MOMENTUM * momentum + direction
            share = FIRST + (LAST - FIRST) * step / settings.steps
            x = x - share * self.budget.reach * self.budget.direction(momentum)

    def _start(self, restart: int) -> Tensor:
        if restart == 0:
            return self.clean if self.style is None else self.style.start().to(self.clean)
        noise = noise_direction(self.budget, self.clean, self.seen, self.random)
        share = float(torch.rand((), generator=self.random))
        begin = self.clean if self.style is None else self.style.start().to(self.clean)
        return begin + share * self.budget.border(noise) * noise

    def _answer(self, picture: Tensor, gradient: bool) -> tuple[float, bool, Tensor | None]:
        """Margin, whether it is large enough, and the gradient of the loss to the picture."""
        leaf = picture.detach().clone().requires_grad_(gradient)
        with (
            torch.set_grad_enabled(gradient),
            image_estimator(self.settings.image_estimator()),
            rounding_seed(self.settings.seed),
        ):
            logits = self.classifier(leaf)
            loss = self.aim.loss(logits, self.settings.loss)
            found = torch.autograd.grad(loss, leaf)[0] if gradient else None
        if found is not None and not bool(found.isfinite().all()):
            raise PaintingError("the gradient of the network's answer is no number")
        logits = logits.detach()
        margin = float(self.aim.margin(logits))
        return margin, self._certain(logits), found

    def _certain(self, logits: Tensor) -> bool:
        sure = float(logits[0].softmax(0).max()) >= self.settings.confidence
        return self.aim.reached(logits) and sure

    def _painting(self, picture: Tensor) -> tuple[Tensor | None, float]:
        if self.style is None:
            return None, 0.0
        return self.style.gradient(picture, self.random)

    def _direction(self, answer: Tensor, painting: Tensor | None, margin: float) -> Tensor:
        """Both gradients at equal length; the answer's only until the network is sure enough."""
        unit = _unit(answer)
        if painting is None:
            return unit
        return _unit(painting) + (unit if margin < self.settings.enough else 0)

    def _keep(self, margin: float, loss: float, restart: int, picture: Tensor) -> None:
        """Remembers the picture with the larger margin; of those that are sure enough, the one
        that is painted best."""
        enough = self.settings.enough if self.style is not None else math.inf
        if self.best is not None:
            ours, theirs = min(margin, enough), min(self.best[0], enough)
            if (ours, -loss) <= (theirs, -self.best[1]):
                return
        self.best = (margin, loss, restart, picture)

    def result(self) -> Attacked:
        assert self.best is not None
        margin, loss, restart, picture = self.best
        return Attacked(picture, margin, loss, restart, self.steps, self.blocked)


def _unit(gradient: Tensor) -> Tensor:
    return gradient / gradient.square().mean().sqrt().clamp(min=1e-30)


def noise_direction(budget: Budget, clean: Tensor, seen: Tensor, random: torch.Generator) -> Tensor:
    """A random direction [1, 3, H, W] of those pixels that the network sees."""
    drawn = torch.randn(clean.shape, generator=random).to(clean)
    return budget.direction(drawn * seen)


@torch.no_grad()
def random_noise(
    classifier: Classifier, clean: Tensor, aim: Aim, budget: Budget, tries: int, seed: int
) -> Tensor:
    """The 8-bit picture of several with noise as large as allowed that comes nearest to the aim.

    What this reaches needs no attack; and where it reaches more than gradients do, these are
    masked (Athalye et al. 2018).
    """
    random = torch.Generator().manual_seed(seed)
    seen = seen_pixels(clean)
    best, found = -math.inf, clean
    for _ in range(tries):
        noise = noise_direction(budget, clean, seen, random)
        _, picture = budget.project(clean + budget.border(noise) * noise)
        margin = float(aim.margin(classifier(picture)))
        if margin > best:
            best, found = margin, picture
        if best > 0:
            break
    return found
