"""How far a picture may be changed: three budgets, kept by the 8-bit picture that is saved.

A picture in the making has real numbers; the one that is saved has 256 levels. Rounding to the
nearest level may leave a budget, so each of these rounds in a way that stays inside.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from ...errors import InputError, unknown_name
from ..judge import NOTHING, Judge

NORMS = ("linf", "l2", "content")
EPSILONS = {"linf": "8/255", "l2": "3", "content": "0.1"}
"""What is allowed where nothing is said, as it would be written."""

LEVELS = 255
HALVINGS = 24
"""Of the interval in which the largest change is looked for."""

GUESSES = 8
"""At most, of the length at which a change uses the content distance up."""

NEAR = 0.1
"""Share of epsilon by which such a length may miss it."""

CLOSER = 0.97
"""How much nearer than estimated a picture is drawn to the clean one, so that few tries do."""


class Budget(Protocol):
    """A set of pictures about one picture.

    Attributes:
        epsilon: its radius, in its own unit.
        reach: the length that our steps are shares of: epsilon, where that is a length.
    """

    epsilon: float
    reach: float

    def used(self, picture: Tensor) -> float:
        """How far the picture [1, 3, H, W] is from the middle, in the unit of epsilon."""

    def project(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The picture brought inside, with real numbers, and the 8-bit one that stands for it.

        Args:
            picture: [1, 3, H, W], any values.
        Returns:
            both in [0, 1]; the second has whole levels of 1/255 and is within the budget exactly.
        """

    def direction(self, gradient: Tensor) -> Tensor:
        """A gradient at the length of one unit of `reach`; 0 where it is 0."""

    def border(self, direction: Tensor) -> float:
        """How far the border is from the middle, in lengths of this direction.

        Args:
            direction: as `direction` gives it; `reach` where it is 0 everywhere.
        """


def parse_epsilon(text: str) -> float:
    """A number, or a fraction such as 8/255.

    Raises:
        InputError: neither, or not a positive number.
    """
    above, slash, below = text.partition("/")
    try:
        value = float(above) / (float(below) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"--epsilon is a positive number such as 8/255 or 0.03, not {text!r}")
    return value


def make_budget(norm: str, epsilon: float, clean: Tensor, judge: Judge | None = None) -> Budget:
    """The budget of that name about a picture.

    Args:
        epsilon: for linf a share of full brightness, more than 1 allowing everything; for l2 the
            root of the sum of squares over the whole picture, in the same unit; for content the
            judged distance.
        clean: 8-bit, [1, 3, H, W] in [0, 1].
        judge: who tells the content distance; needed for "content".
    Raises:
        InputError: an unknown norm, or an epsilon that allows no change at all.
    """
    if norm not in NORMS:
        raise unknown_name("norm", norm, NORMS)
    if norm == "content":
        if judge is None:
            raise ValueError("a content budget needs a judge")
        return Content(clean, epsilon, judge)
    return Linf(clean, epsilon) if norm == "linf" else L2(clean, epsilon)


def eight_bit(picture: Tensor) -> Tensor:
    """The picture as it is after having been saved and read: whole levels of 1/255 in [0, 1]."""
    return (picture.clamp(0, 1) * LEVELS).round() / LEVELS


def l2_distance(one: Tensor, other: Tensor) -> float:
    """Root of the sum of squared differences over all pixels and channels, summed in float64."""
    return math.sqrt(float((one.double() - other.double()).square().sum()))


class Linf:
    """No value differs by more than epsilon."""

    def __init__(self, clean: Tensor, epsilon: float) -> None:
        self.clean, self.epsilon, self.reach = clean, epsilon, epsilon
        # A hair, because 8/255 is no number that floats hold.
        self.levels = math.floor(epsilon * LEVELS + 1e-6)
        if self.levels < 1:
            raise InputError(
                f"--epsilon {epsilon:g} is below 1/255, the least that an 8-bit picture can change"
            )

    def used(self, picture: Tensor) -> float:
        # In whole levels, which floats between them would blur.
        return float(((picture - self.clean) * LEVELS).round().abs().max()) / LEVELS

    def project(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        change = (picture - self.clean).clamp(-self.epsilon, self.epsilon)
        inside = (self.clean + change).clamp(0, 1)
        before = (self.clean * LEVELS).round()
        levels = (inside * LEVELS).round()
        levels = torch.minimum(torch.maximum(levels, before - self.levels), before + self.levels)
        return inside, levels / LEVELS

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def border(self, direction: Tensor) -> float:
        return self.epsilon


class L2:
    """The change as one long vector is no longer than epsilon."""

    def __init__(self, clean: Tensor, epsilon: float) -> None:
        self.clean, self.epsilon, self.reach = clean, epsilon, epsilon
        if epsilon < 1 / LEVELS:
            raise InputError(
                f"--epsilon {epsilon:g} is below 1/255, the least that an 8-bit picture can change"
            )

    def used(self, picture: Tensor) -> float:
        return l2_distance(picture, self.clean)

    def project(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        change = picture.clamp(0, 1) - self.clean
        length = float(change.norm())
        if length > self.epsilon:
            change = change * (self.epsilon / length)
        inside = self.clean + change
        saved = eight_bit(inside)
        if self.used(saved) <= self.epsilon:
            return inside, saved
        # Rounded, a change grows with its scale, step by step: the largest scale is bisected.
        low, high = 0.0, 1.0
        saved = self.clean
        for _ in range(HALVINGS):
            scale = (low + high) / 2
            tried = eight_bit(self.clean + scale * change)
            if self.used(tried) <= self.epsilon:
                low, saved = scale, tried
            else:
                high = scale
        return inside, saved

    def direction(self, gradient: Tensor) -> Tensor:
        unit: Tensor = gradient / gradient.norm().clamp(min=1e-30)
        return unit

    def border(self, direction: Tensor) -> float:
        return self.epsilon


class Content:
    """The judge's content distance is at most epsilon.

    What is outside is drawn back along the line to the clean picture. That is no nearest point,
    but the distance falls to 0 on the way there, whatever the judge.
    """

    def __init__(self, clean: Tensor, epsilon: float, judge: Judge) -> None:
        self.clean, self.epsilon, self.reach = clean, epsilon, 16 / LEVELS
        self.distance = ContentDistance(judge, clean)

    def used(self, picture: Tensor) -> float:
        return self.distance(picture)

    def project(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        change = picture.clamp(0, 1) - self.clean
        scale = 1.0
        while scale > 1e-4:
            inside = self.clean + scale * change
            saved = eight_bit(inside)
            distance = self.distance(saved)
            if distance <= self.epsilon:
                return inside, saved
            # For small changes the distance goes with their square.
            scale *= min(CLOSER * math.sqrt(self.epsilon / distance), 0.95)
        return self.clean, self.clean

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient / gradient.square().mean().sqrt().clamp(min=1e-30)

    def border(self, direction: Tensor) -> float:
        length = self.reach
        for _ in range(GUESSES if direction.any() else 0):
            distance = self.distance(eight_bit(self.clean + length * direction))
            if abs(distance - self.epsilon) <= NEAR * self.epsilon:
                break
            # As in `project`; at most twice, since what rounding leaves of a small change tells
            # nothing, and at most to full brightness, beyond which nothing changes.
            longer = math.sqrt(self.epsilon / max(distance, NOTHING))
            length = min(length * min(longer, 2.0), 1.0)
        return length


class ContentDistance:
    """|F(r) - F(c)|² / |F(c) - mean F(c)|² at the judge's content tap, as `judge.Case` has it."""

    def __init__(self, judge: Judge, clean: Tensor) -> None:
        self.judge = judge
        self._map = judge.content(clean)
        spread = self._map - self._map.mean((2, 3), keepdim=True)
        self._spread = max(float(spread.square().sum()), NOTHING)

    def __call__(self, picture: Tensor) -> float:
        return float((self.judge.content(picture) - self._map).square().sum()) / self._spread
