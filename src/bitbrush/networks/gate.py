"""Squeeze and excitation: channels weighed by what the whole map holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Gate(nn.Module):
    """A factor in (0, 1) for each channel, from the mean of each; both dense layers without bias.

    Args:
        channels_in: of the map that is looked at.
        channels_out: factors.
        squeeze: how many times fewer numbers there are between the two layers.
    Source: Hu et al. 2018.
    """

    def __init__(self, channels_in: int, channels_out: int, squeeze: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels_in, channels_in // squeeze, bias=False)
        self.expand = nn.Linear(channels_in // squeeze, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C_in, H, W]; returns [N, C_out, 1, 1]."""
        squeezed = functional.relu(self.reduce(x.mean((2, 3))))
        return torch.sigmoid(self.expand(squeezed))[:, :, None, None]
