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
from torch import Tensor, nn

from ..errors import InputError
from ..networks.taps import Network
from .pictures import PictureCache, random_crops

VARIANCE_FLOOR = 0.05
"""Least variance of a teacher's channel, as a share of its layer's mean variance."""


RIDGE = 1e-4
"""Added to a tap's variances where a head is solved for, as a share of their mean."""


@dataclass(frozen=True)
class Target:
    """A teacher's layer and the tap of the student that has to hold it.

    Attributes:
        every: of the positions, one in `every` along each axis takes part in the loss.
    """

    tap: str
    teacher: Network
    layer: str
    every: int = 1


@dataclass(frozen=True)
class Recipe:
    """How to train: see `distil`."""

    pictures: int = 150_000
    batch: int = 32
    size: int = 96
    scales: tuple[float, float] = (0.75, 1.3)
    learning_rate: float = 3e-3
    warm_up: int = 100
    seed: int = 0

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


class Heads(nn.Module):
    """The 1x1 convolutions from taps to teacher's layers, and the loss they define."""

    def __init__(self, targets: Sequence[Target], student: Network, sample: Tensor) -> None:
        """Args:
        sample: pictures [N, 3, H, W] that give each channel's variance, and the heads to start
            from.
        """
        super().__init__()
        self.targets = tuple(targets)
        self.heads = nn.ModuleList()
        with torch.no_grad():
            taps = student(sample, {target.tap for target in targets})
            for index, target in enumerate(targets):
                feature = target.teacher(sample, [target.layer])[target.layer]
                variance, mean = torch.var_mean(feature, (0, 2, 3))
                self.heads.append(_best_head(taps[target.tap], feature))
                floored = variance.clamp(min=VARIANCE_FLOOR * float(variance.mean()))
                self.register_buffer(f"scale{index}", floored.rsqrt().view(1, -1, 1, 1))

    def forward(self, student: Network, images: Tensor, offset: int) -> list[Tensor]:
        """The unexplained share of variance of each target, as scalars.

        Args:
            images: [N, 3, H, W].
            offset: shifts the grid of positions that take part where a target has `every` > 1.
        """
        features: dict[int, dict[str, Tensor]] = {}
        with torch.no_grad():
            for teacher in {id(t.teacher): t.teacher for t in self.targets}.values():
                layers = [t.layer for t in self.targets if t.teacher is teacher]
                features[id(teacher)] = teacher(images, layers)
        taps = student(images, {target.tap for target in self.targets})
        losses = []
        for index, (target, head) in enumerate(zip(self.targets, self.heads, strict=True)):
            rows, columns = divmod(offset % target.every**2, target.every)
            grid = (..., slice(rows, None, target.every), slice(columns, None, target.every))
            wanted = features[id(target.teacher)][target.layer][grid]
            error = (head(taps[target.tap][grid]) - wanted) * self.get_buffer(f"scale{index}")
            losses.append(error.float().square().mean())
        return losses


def _best_head(tap: Tensor, feature: Tensor) -> nn.Conv2d:
    """The 1x1 convolution that explains most of a feature by a tap, both [N, C, H, W]."""
    inputs, outputs = (each.movedim(1, 0).flatten(1) for each in (tap, feature))
    middle, mean = (each.mean(1, keepdim=True) for each in (inputs, outputs))
    inputs = inputs - middle
    gram = (inputs @ inputs.T).double()
    # Channels may be equal, or a batch norm's zeros.
    gram.diagonal().add_(RIDGE * gram.diagonal().mean() + torch.finfo(torch.float32).tiny)
    weight = torch.linalg.solve(gram, (inputs @ (outputs - mean).T).double()).float().T
    head = nn.Conv2d(len(inputs), len(outputs), 1)
    head.weight.copy_(weight[:, :, None, None])
    assert head.bias is not None
    head.bias.copy_((mean - weight @ middle).squeeze(1))
    return head


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
        InputError: the checkpoint belongs to another recipe.
    """
    torch.manual_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    device = student.mean.device

    def batch(size: int) -> Tensor:
        images = random_crops(cache, size, recipe.size, recipe.scales, random)
        return images.to(device, memory_format=torch.channels_last)

    student.train()
    heads = Heads(targets, student, batch(min(len(cache), 256))).to(device)
    parameters = [*student.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam(parameters, recipe.learning_rate)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(recipe))
    done = 0
    if checkpoint is not None and checkpoint.exists():
        done = _restore(checkpoint, recipe, student, heads, optimizer, rate, random)
    for step in range(done + 1, recipe.steps + 1):
        images = batch(recipe.batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            losses = heads(student, images, int(random.integers(1 << 16)))
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rate.step()
        student.constrain()
        if checkpoint is not None and (step % checkpoint_every == 0 or step == recipe.steps):
            _save(checkpoint, step, recipe, student, heads, optimizer, rate, random)
        unexplained = {t.layer: loss.item() for t, loss in zip(targets, losses, strict=True)}
        yield Progress(step, unexplained)


def _schedule(recipe: Recipe) -> Callable[[int], float]:
    def factor(step: int) -> float:
        if step < recipe.warm_up:
            return (step + 1) / recipe.warm_up
        share = (step - recipe.warm_up) / max(recipe.steps - recipe.warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * min(share, 1)))

    return factor


def _save(
    path: Path,
    step: int,
    recipe: Recipe,
    student: Network,
    heads: Heads,
    optimizer: torch.optim.Optimizer,
    rate: torch.optim.lr_scheduler.LRScheduler,
    random: np.random.Generator,
) -> None:
    state = {
        "step": step,
        "recipe": asdict(recipe),
        "student": student.state_dict(),
        "heads": heads.heads.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rate": {key: value for key, value in rate.state_dict().items() if key != "lr_lambdas"},
        "random": random.bit_generator.state,
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _restore(
    path: Path,
    recipe: Recipe,
    student: Network,
    heads: Heads,
    optimizer: torch.optim.Optimizer,
    rate: torch.optim.lr_scheduler.LRScheduler,
    random: np.random.Generator,
) -> int:
    state = torch.load(path, weights_only=True, map_location=student.mean.device)
    # The number of pictures may change: it only moves the end of the schedule.
    if state["recipe"] | {"pictures": recipe.pictures} != asdict(recipe):
        raise InputError(f"{path} was made with another recipe; choose another output folder")
    student.load_state_dict(state["student"])
    heads.heads.load_state_dict(state["heads"])
    optimizer.load_state_dict(state["optimizer"])
    rate.load_state_dict({**rate.state_dict(), **state["rate"]})
    random.bit_generator.state = state["random"]
    return int(state["step"])
