"""Trains a network so that a teacher's features are linear in its taps.

For each pair of a tap and a teacher's layer there is a 1x1 convolution, thrown away afterwards.
Where a feature is a linear map of a tap, its mean and covariance over a picture follow from those
of the tap, so a painter who matches the tap's statistics matches the teacher's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import InputError
from ..networks.taps import Network
from .heads import Heads, Losses, Target
from .pictures import PictureCache, labelled_crops


@dataclass(frozen=True)
class Recipe:
    """How to train: see `distil`.

    Attributes:
        size: side of a crop in pixels, taken at one of these `scales`.
        warm_up: steps.
        hidden: channels of a hidden layer in each head; 0 for linear heads.
        statistics: weight of the statistics of whole crops in the loss; 0 leaves them out.
        classes: weight of the pictures' classes in the loss.
        average: how much of the average of weights is kept at each step; 0 averages nothing.
    """

    pictures: int = 150_000
    batch: int = 32
    size: int = 96
    scales: tuple[float, float] = (0.75, 1.3)
    learning_rate: float = 3e-3
    warm_up: int = 100
    seed: int = 0
    hidden: int = 0
    statistics: float = 0.0
    classes: float = 0.0
    average: float = 0.0

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return math.ceil(self.pictures / self.batch)


@dataclass(frozen=True)
class Progress:
    """One step of the training: what a listener sees.

    Attributes:
        step: steps done.
        unexplained: for each teacher's layer the share of its variance that the heads miss in
            this batch.
    """

    step: int
    unexplained: Mapping[str, float]


def distil(
    student: Network,
    targets: Sequence[Target],
    cache: PictureCache,
    recipe: Recipe,
    checkpoint: Path | None = None,
    checkpoint_every: int = 200,
    autocast: bool = True,
) -> Iterator[Progress]:
    """Trains the student; yields after every step, and resumes from the checkpoint if there is one.

    Adam with a linear warm-up and a cosine to zero; latent weights are clipped after each step.

    Args:
        student: trained in place; left in training mode.
        targets: what its taps have to hold.
        checkpoint: file that all state is written to, every `checkpoint_every` steps and at the
            end; None keeps none.
        autocast: compute in bfloat16 where torch does so on its own.
    Raises:
        InputError: the checkpoint belongs to another recipe, or classes are asked for and the
            pictures have none.
    """
    if recipe.classes and cache.classes < 2:
        raise InputError("nobody tells what the pictures show: without classes for them, no loss")
    torch.manual_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    device = student.mean.device

    def batch(size: int) -> tuple[Tensor, Tensor]:
        images, labels = labelled_crops(cache, size, recipe.size, recipe.scales, random)
        return images.to(device, memory_format=torch.channels_last), labels.to(device)

    student.train()
    classes = cache.classes if recipe.classes else 0
    sample, _ = batch(min(len(cache), 256))
    heads = Heads(targets, student, sample, recipe.hidden, classes).to(device)
    parameters = [*student.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam(parameters, recipe.learning_rate)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(recipe))
    training = _Training(student, heads, optimizer, rate, random, _averaged(student, recipe))
    done = 0
    if checkpoint is not None and checkpoint.exists():
        done = _restore(checkpoint, recipe, training)
    for step in range(done + 1, recipe.steps + 1):
        images, labels = batch(recipe.batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            offset = int(random.integers(1 << 16))
            losses = heads(student, images, offset, bool(recipe.statistics), labels)
        optimizer.zero_grad(set_to_none=True)
        _weighed(losses, recipe).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rate.step()
        student.constrain()
        if training.average is not None:
            training.average.update_parameters(student)
            if step == recipe.steps:
                student.load_state_dict(training.average.module.state_dict())
        if checkpoint is not None and (step % checkpoint_every == 0 or step == recipe.steps):
            _save(checkpoint, step, recipe, training)
        unexplained = {
            target.layer: loss.item() for target, loss in zip(targets, losses.features, strict=True)
        }
        yield Progress(step, unexplained)


@dataclass(frozen=True)
class _Training:
    """All that changes while training."""

    student: Network
    heads: Heads
    optimizer: torch.optim.Optimizer
    rate: torch.optim.lr_scheduler.LRScheduler
    random: np.random.Generator
    average: AveragedModel | None


def _averaged(student: Network, recipe: Recipe) -> AveragedModel | None:
    if not recipe.average:
        return None
    kept = get_ema_multi_avg_fn(recipe.average)  # type: ignore[no-untyped-call]
    return AveragedModel(student, multi_avg_fn=kept, use_buffers=True)


def _weighed(losses: Losses, recipe: Recipe) -> Tensor:
    total = torch.stack(losses.features).sum()
    if losses.statistics:
        total = total + recipe.statistics * torch.stack(losses.statistics).sum()
    if losses.classes is not None:
        total = total + recipe.classes * losses.classes
    return total


def _schedule(recipe: Recipe) -> Callable[[int], float]:
    def factor(step: int) -> float:
        if step < recipe.warm_up:
            return (step + 1) / recipe.warm_up
        share = (step - recipe.warm_up) / max(recipe.steps - recipe.warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * min(share, 1)))

    return factor


def _save(path: Path, step: int, recipe: Recipe, training: _Training) -> None:
    rate = training.rate.state_dict()
    state = {
        "step": step,
        "recipe": asdict(recipe),
        "student": training.student.state_dict(),
        "heads": training.heads.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "rate": {key: value for key, value in rate.items() if key != "lr_lambdas"},
        "random": training.random.bit_generator.state,
    }
    if training.average is not None:
        state["average"] = training.average.state_dict()
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _restore(path: Path, recipe: Recipe, training: _Training) -> int:
    state = torch.load(path, weights_only=True, map_location=training.student.mean.device)
    # The number of pictures may change: it only moves the end of the schedule.
    if state["recipe"] | {"pictures": recipe.pictures} != asdict(recipe):
        raise InputError(f"{path} was made with another recipe; choose another output folder")
    training.student.load_state_dict(state["student"])
    training.heads.load_state_dict(state["heads"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.rate.load_state_dict({**training.rate.state_dict(), **state["rate"]})
    training.random.bit_generator.state = state["random"]
    if training.average is not None:
        training.average.load_state_dict(state["average"])
    return int(state["step"])
