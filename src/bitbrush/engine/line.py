"""Networks that are one line of steps, walked forth and back without torch's graph.

The graph would hold every map until the last gradient has been taken, put each gradient into memory
of its own, and add them up in a pass by itself. Here a map is gone when nobody needs it, and the
gradient of what follows is written onto that of the tap it came from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import BitbrushError
from ..networks.handover import received
from ..networks.taps import Network
from ..quantizers import current_image_estimator
from . import program
from .chain import Chain
from .launch import channels_last
from .modules import PackedStage
from .profiling import FLOATS, STAGE, STAGE_BACK, seen_as
from .round_trip import Walked, trips_of
from .steps import Step


@dataclass(frozen=True)
class Part:
    """A float step, or a stage of residual blocks.

    Attributes:
        step: one of these.
        taps: the name of each block's map; of a float step the one of its result, or none.
    """

    step: Step | PackedStage
    taps: tuple[str, ...] = ()


class LineNetwork(Network):
    """A frozen network that runs on the CPU as a line of parts.

    Gradients that arrive at its maps may be overwritten. From each call there is one way back.

    Attributes:
        rest: the same network of torch's modules, for other devices.
    """

    keeps_taps = False

    def __init__(
        self, rest: Network, parts: Sequence[Part], heads: Mapping[str, nn.Module]
    ) -> None:
        """Args:
        rest: frozen.
        parts: from the picture on.
        heads: of the taps behind the last part's map: what makes them of it.
        """
        super().__init__(rest.name, rest.taps, multiple=rest.multiple)
        self.mean, self.std = rest.mean, rest.std
        self.rest = rest
        self.parts = tuple(parts)
        self.heads = nn.ModuleDict(dict(heads))

    def forward(self, image: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(taps)
        if image.device.type != "cpu":
            return self.rest(image, wanted)  # type: ignore[no-any-return]
        self.check(image, wanted)
        maps = {tap for tap in wanted if tap not in self.heads}
        last = self.parts[-1].taps[-1]
        if len(maps) < len(wanted):
            maps.add(last)
        order = [tap for tap in self.taps if tap in maps]
        x = self.padded(image)

        def walk(picture: Tensor) -> tuple[Tensor, ...]:
            maps: tuple[Tensor, ...] = _Walk.apply(picture, self, order)  # type: ignore[no-untyped-call]
            return maps

        def use(values: Sequence[Tensor], lent: bool) -> dict[str, Tensor]:
            found = dict(zip(order, values, strict=True))
            heads = {tap: head(found[last]) for tap, head in self.heads.items() if tap in wanted}
            if lent:
                found = {tap: map_.clone() for tap, map_ in found.items() if tap in wanted}
            return found | heads

        if torch.is_grad_enabled() and x.requires_grad:
            found = use(walk(x), False)
        else:
            found = program.run(self, tuple(order), x, walk, use)
        height, width = image.shape[-2:]
        return {
            tap: self.cropped(found[tap], tap, height, width) for tap in self.taps if tap in wanted
        }


class _Walk(torch.autograd.Function):
    """From a picture to the maps of some taps."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, network: LineNetwork, wanted: Sequence[str]
    ) -> tuple[Tensor, ...]:
        learning = ctx.needs_input_grad[0]

        def forth(picture: Tensor) -> tuple[tuple[Tensor, ...], Walked]:
            return _forth(network, picture, wanted, learning)

        ctx.trips = trips_of(network, x) if learning else None
        ctx.trip = None
        if ctx.trips is not None:
            key = (tuple(wanted), current_image_estimator(), x.shape, torch.get_num_threads())
            ctx.trip = ctx.trips.trip_for(key)
        if ctx.trip is None:
            maps, ctx.walked = forth(x)
        else:
            maps, ctx.walked, ctx.ticket = ctx.trip.go(x, wanted, forth)
            if ctx.ticket is None:
                ctx.trip = None
        ctx.wanted = wanted
        ctx.set_materialize_grads(False)
        return maps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        walked, ctx.walked = ctx.walked, None
        if walked is None:
            # What was kept has been used up, and its memory may be others' by now.
            raise BitbrushError("the packed engine goes back once; call the network again")
        arrived = {
            tap: channels_last(received(gradient))
            for tap, gradient in zip(ctx.wanted, gradients, strict=True)
            if gradient is not None
        }
        del gradients
        if ctx.trip is None:
            result = _back(walked, arrived)
            if ctx.trips is not None:
                ctx.trips.came_back()
            return result, None, None
        result = ctx.trip.come_back(arrived, walked, _back)
        ctx.trip = ctx.ticket = None
        return result, None, None


def _forth(
    network: LineNetwork, x: Tensor, wanted: Sequence[str], learning: bool
) -> tuple[tuple[Tensor, ...], Walked]:
    """The maps of some taps, and what `_back` wants."""
    found: dict[str, Tensor] = {}
    walked: Walked = []
    for part in network.parts:
        own = [tap for tap in part.taps if tap in wanted]
        following = len(found) + len(own) < len(wanted)
        if isinstance(part.step, PackedStage):
            chain, maps, kept = _run_stage(part, part.step, x, own, following, learning, found)
            walked.append((part, chain, kept))
            x = maps[max(maps)]
        else:
            with seen_as(FLOATS):
                x, kept = part.step.run(x, learning)
            walked.append((part, None, kept))
            if own:
                found[own[0]] = x
        if not following:
            break
    return tuple(found[tap] for tap in wanted), walked


def _back(walked: Walked, arrived: dict[str, Tensor]) -> Tensor | None:
    """The gradient to the picture, from those to the maps of taps; both are used up."""
    running: Tensor | None = None
    while walked:
        part, chain, kept = walked.pop()
        before = walked[-1][0].taps if walked else ()
        own = {index: arrived.pop(tap) for index, tap in enumerate(part.taps) if tap in arrived}
        # What followed has been written onto the gradient of this part's last map.
        if running is not None:
            own[max(len(part.taps) - 1, 0)] = running
        if not own:
            continue
        onto = arrived.pop(before[-1], None) if before else None
        if chain is None:
            with seen_as(FLOATS):
                running = part.step.back(kept, own[0], onto)
        else:
            with seen_as(STAGE_BACK):
                running = chain.back(kept, own, True, onto)
        del own, kept
    return running


def _run_stage(
    part: Part,
    stage: PackedStage,
    x: Tensor,
    own: Collection[str],
    following: bool,
    learning: bool,
    found: dict[str, Tensor],
) -> tuple[Chain, dict[int, Tensor], Any]:
    """Runs as many blocks as are needed; adds the wanted maps to those found."""
    wanted = [index for index, tap in enumerate(part.taps) if tap in own]
    last = len(part.taps) - 1 if following else max(wanted)
    chain = stage.chain(last + 1)
    # A map that was found is somebody's.
    owned = not any(x is value for value in found.values())
    with seen_as(STAGE):
        maps, kept = chain.run(x, wanted, learning, owned)
    found |= {part.taps[index]: maps[index] for index in wanted}
    return chain, maps, kept
