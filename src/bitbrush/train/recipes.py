"""Recipes for classifiers: what is done in training, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import InputError, unknown_name


@dataclass(frozen=True)
class ClassifierRecipe:
    """How a classifier is trained, with Adam and cross entropy.

    Attributes:
        epochs: passes over the pictures; None where only time ends the training.
        batch: pictures of a step. An incomplete last batch is left out.
        learning_rate: of one-bit networks, whose latent weights matter by their sign alone.
        float_rate: the same of float networks.
        schedule: "inverse" divides the rate by 1 + decay x steps; "cosine" takes it to 0.
        decay: of the inverse schedule, for each step.
        warm_up: share of the training in which the rate rises linearly from 0.
        shift: most pixels that a picture is moved by along each axis, mirrored at its border.
        flip: whether every other picture, by chance, is mirrored.
        smoothing: share of the label that is spread over all classes.
        norm_momentum: torch's momentum of batch norms; None leaves them their own.
        epsilon: Adam's.
        points: of the curve in an epoch.
        check: most held-out pictures that a point of the curve is measured with.
        seed: of weights, order and shifts.
    """

    name: str
    epochs: int | None
    batch: int
    learning_rate: float
    float_rate: float
    schedule: Literal["inverse", "cosine"]
    decay: float = 0.0
    warm_up: float = 0.0
    shift: int = 0
    flip: bool = False
    smoothing: float = 0.0
    norm_momentum: float | None = None
    epsilon: float = 1e-7
    points: int = 5
    check: int = 1000
    seed: int = 0

    def factor(self, step: int, share: float) -> float:
        """What the learning rate is multiplied by at a step, from 0.

        Args:
            share: of the training that is done, 0 to 1.
        """
        if self.schedule == "inverse":
            rate = 1 / (1 + self.decay * step)
        else:
            rate = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
        return rate * min(1.0, share / self.warm_up) if self.warm_up else rate


LARQ = ClassifierRecipe(
    name="larq",
    epochs=100,
    batch=50,
    learning_rate=1e-2,
    float_rate=1e-3,
    schedule="inverse",
    decay=1e-4,
)
"""Larq's documentation: no augmentation, and batch norms that forget slowly (see the network)."""

BETTER = ClassifierRecipe(
    name="better",
    epochs=100,
    batch=100,
    learning_rate=5e-3,
    float_rate=1e-3,
    schedule="cosine",
    warm_up=0.02,
    shift=4,
    flip=True,
    smoothing=0.1,
    norm_momentum=0.1,
)
"""Shifts and mirror images against learning by heart; a rate that ends at 0 lets bits settle."""

SCRATCH = ClassifierRecipe(
    name="scratch",
    epochs=None,
    batch=64,
    learning_rate=2e-3,
    float_rate=5e-4,
    schedule="cosine",
    warm_up=0.05,
    shift=8,
    flip=True,
    smoothing=0.1,
    norm_momentum=0.1,
)
"""For any classifier and a given time."""

RECIPES = {recipe.name: recipe for recipe in (LARQ, BETTER)}
"""Those for CIFAR-10."""


def recipe_of(name: str, epochs: int | None = None, seed: int = 0) -> ClassifierRecipe:
    """The recipe for CIFAR-10 of that name.

    Args:
        epochs: instead of its own.
    Raises:
        InputError: there is none of that name, or no epochs.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return with_epochs(RECIPES[name], epochs, seed)


def with_epochs(recipe: ClassifierRecipe, epochs: int | None, seed: int) -> ClassifierRecipe:
    """The recipe with another seed, and other epochs where these are given.

    Raises:
        InputError: less than one epoch.
    """
    if epochs is not None and epochs < 1:
        raise InputError(f"train for one epoch at least, not {epochs}")
    return replace(recipe, epochs=recipe.epochs if epochs is None else epochs, seed=seed)


def check_limits(recipe: ClassifierRecipe, hours: float | None) -> None:
    """Whether a training of so many hours at most comes to an end.

    Raises:
        InputError: neither epochs nor hours are limited, or hours are no positive number.
    """
    if recipe.epochs is None and hours is None:
        raise InputError("say how long to train, with --hours or --epochs")
    if hours is not None and not (hours > 0 and math.isfinite(hours)):
        raise InputError(f"hours must be a positive number, not {hours:g}")
