"""Heads: what is computed from taps while training, and thrown away afterwards.

From each tap a 1x1 convolution to a teacher's layer, perhaps with a hidden layer beside it; from
the last one perhaps the classes of the pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks.taps import Network

VARIANCE_FLOOR = 0.05
"""Least variance of a teacher's channel, as a share of its layer's mean variance."""


TINY = 1e-12

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
class Losses:
    """What the heads miss, as scalars.

    Attributes:
        features: the share of each target's variance.
        statistics: of the mean and covariance over each picture, the share of what tells pictures
            apart; for each target.
        classes: cross-entropy of the classes, as a share of a guess's; None where none are asked.
    """

    features: list[Tensor]
    statistics: list[Tensor]
    classes: Tensor | None


class Head(nn.Module):
    """A 1x1 convolution, and what a hidden layer of relus adds to it, nothing at first."""

    def __init__(self, linear: nn.Conv2d, hidden: int) -> None:
        super().__init__()
        self.linear = linear
        self.beside: nn.Sequential | None = None
        if hidden:
            last = nn.Conv2d(hidden, linear.out_channels, 1)
            for each in last.parameters():
                nn.init.zeros_(each)
            self.beside = nn.Sequential(nn.Conv2d(linear.in_channels, hidden, 1), nn.ReLU(), last)

    def forward(self, tap: Tensor) -> Tensor:
        """[N, C, H, W] of the tap to [N, D, H, W] of the teacher."""
        found: Tensor = self.linear(tap)
        if self.beside is not None:
            found = found + self.beside(tap)
        return found


class Heads(nn.Module):
    """All heads of a student, and the losses they define."""

    def __init__(
        self,
        targets: Sequence[Target],
        student: Network,
        sample: Tensor,
        hidden: int = 0,
        classes: int = 0,
    ) -> None:
        """Args:
        targets: the last one's tap is what classes are told from.
        sample: pictures [N, 3, H, W] that give each channel's variance, and the heads to start
            from.
        hidden: channels of each head's hidden layer; 0 for linear ones.
        classes: how many there are; 0 asks for none.
        """
        super().__init__()
        self.targets = tuple(targets)
        self.heads = nn.ModuleList()
        with torch.no_grad():
            taps = student(sample, {target.tap for target in targets})
            for index, target in enumerate(targets):
                feature = target.teacher(sample, [target.layer])[target.layer]
                variance = torch.var(feature, (0, 2, 3))
                self.heads.append(Head(best_head(taps[target.tap], feature), hidden))
                self.register_buffer(f"scale{index}", _scale(variance))
        last = taps[targets[-1].tap].shape[1]
        self.classifier = nn.Linear(last, classes) if classes else None

    def forward(
        self,
        student: Network,
        images: Tensor,
        offset: int,
        statistics: bool = False,
        labels: Tensor | None = None,
    ) -> Losses:
        """What is missed of these pictures.

        Args:
            images: [N, 3, H, W].
            offset: shifts the grid of positions that take part where a target has `every` > 1.
            statistics: whether those of whole pictures are compared, too.
            labels: int64 [N], where classes are asked for; -1 where a picture has none.
        """
        features: dict[int, dict[str, Tensor]] = {}
        with torch.no_grad():
            for teacher in {id(t.teacher): t.teacher for t in self.targets}.values():
                layers = [t.layer for t in self.targets if t.teacher is teacher]
                features[id(teacher)] = teacher(images, layers)
        taps = student(images, {target.tap for target in self.targets})
        losses = Losses([], [], self._classes(taps[self.targets[-1].tap], labels))
        for index, (target, head) in enumerate(zip(self.targets, self.heads, strict=True)):
            rows, columns = divmod(offset % target.every**2, target.every)
            grid = (..., slice(rows, None, target.every), slice(columns, None, target.every))
            scale = self.get_buffer(f"scale{index}")
            wanted = features[id(target.teacher)][target.layer][grid] * scale
            found = head(taps[target.tap][grid]) * scale
            losses.features.append((found - wanted).float().square().mean())
            if statistics:
                losses.statistics.append(missed_statistics(found.float(), wanted.float()))
        return losses

    def _classes(self, tap: Tensor, labels: Tensor | None) -> Tensor | None:
        if self.classifier is None or labels is None:
            return None
        logits = self.classifier(tap.mean((2, 3))).float()
        # Counted over all pictures: those without a class add nothing.
        entropy = functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
        return entropy / (len(labels) * math.log(logits.shape[1]))


def missed_statistics(found: Tensor, wanted: Tensor) -> Tensor:
    """How far each picture's mean and covariance are off, over how far those of pictures differ.

    Args:
        found, wanted: [N, C, H, W], at least two pictures.
    Returns:
        The mean of both shares; 1 for whoever gives every picture the mean statistics.
    """
    shares = [
        (one - other).square().sum() / (other - other.mean(0)).square().sum().clamp(min=TINY)
        for one, other in zip(_statistics(found), _statistics(wanted), strict=True)
    ]
    return torch.stack(shares).mean()


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    values = features.flatten(2)
    mean = values.mean(2, keepdim=True)
    centred = values - mean
    return mean, centred @ centred.transpose(1, 2) / values.shape[2]


@torch.no_grad()
def best_head(tap: Tensor, feature: Tensor) -> nn.Conv2d:
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


@torch.no_grad()
def unexplained(student: Network, targets: Sequence[Target], images: Tensor) -> dict[str, float]:
    """The share of variance of each teacher's layer that is not linear in the student's tap.

    With the best heads for these very pictures, so there have to be many more positions than
    channels.

    Args:
        images: [N, 3, H, W].
    """
    taps = student(images, {target.tap for target in targets})
    shares = {}
    for target in targets:
        feature = target.teacher(images, [target.layer])[target.layer]
        error = best_head(taps[target.tap], feature)(taps[target.tap]) - feature
        scale = _scale(torch.var(feature, (0, 2, 3)))
        shares[target.layer] = float((error * scale).square().mean())
    return shares


def _scale(variance: Tensor) -> Tensor:
    """[1, C, 1, 1], by which channels of that variance [C] are multiplied before they count."""
    floored = variance.clamp(min=VARIANCE_FLOOR * float(variance.mean()))
    return floored.rsqrt().view(1, -1, 1, 1)
