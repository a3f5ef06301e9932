"""Stages of residual blocks, as quickbrush and larq-zoo's second QuickNets have them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from .taps import Tap


class Stage(nn.ModuleList):
    """Blocks that follow one another on maps of one size."""

    def forward(
        self, x: Tensor, wanted: Collection[int], whole: bool, owned: bool
    ) -> Iterator[tuple[int, Tensor]]:
        """Yields indices of blocks and the maps behind them.

        Args:
            wanted: the blocks whose maps have to be given; others may be.
            whole: the last map has to be given too, for what follows.
            owned: nobody else needs x, so it may be overwritten.
        """
        for index, block in enumerate(self):
            x = block(x)
            yield index, x


def walk_stage(
    stage: Any,
    x: Tensor,
    number: int,
    taps: Mapping[str, Tap],
    wanted: Collection[str],
    owned: bool,
) -> Iterator[tuple[str, Tensor]]:
    """The maps of a stage by the names of their taps, stage{number}.block{1 …}.

    Args:
        stage: a `Stage`, or what takes its place in a frozen network.
        taps: all of the network's, in its order.
        wanted: the taps asked for.
        owned: nobody else needs x.
    """
    names = [f"stage{number}.block{block}" for block in range(1, len(stage) + 1)]
    order = list(taps)
    whole = any(name in wanted for name in order[order.index(names[-1]) + 1 :])
    inside = [index for index, name in enumerate(names) if name in wanted]
    for index, value in stage(x, inside, whole, owned):
        yield names[index], value
