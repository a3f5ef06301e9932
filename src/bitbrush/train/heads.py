"""Heads: the 1x1 convolutions from taps to a teacher's layers, thrown away after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..networks.taps import Network

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
                variance = torch.var(feature, (0, 2, 3))
                self.heads.append(best_head(taps[target.tap], feature))
                self.register_buffer(f"scale{index}", _scale(variance))

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
