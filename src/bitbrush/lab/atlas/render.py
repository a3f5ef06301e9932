"""Pictures of directions: what a network's map would like to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from ...errors import InputError
from ...networks.taps import Network
from ...style.adam import Adam
from ...style.canvas import SigmoidCanvas
from ...style.views import View, random_view

ROLL = 8
"""Largest random shift of the pictures under the network, in pixels."""

RATE = 0.05
"""Size of a step, in units of the canvas's spectrum."""

POWER = 2
"""Of the cosine that the dot product is weighed by: without it only length would count."""

LEAST = 0.1
"""Of that cosine, so that a picture that points the wrong way is told where to turn."""

TOGETHER = 8
"""Pictures that the network sees at a time."""


def check_size(network: Network, tap: str, size: int) -> None:
    """Makes sure that pictures of that side reach the tap.

    Args:
        network: may be on the meta device.
        size: side of the pictures in pixels.
    Raises:
        InputError: they are too small; the smallest size is told.
    """
    seen = random_view(ROLL, 1.0, torch.Generator(), 0).size(size, size)
    try:
        network.check(torch.empty(1, 3, *seen, device="meta"), [tap])
    except InputError:
        smallest = network.taps[tap].smallest - (seen[0] - size)
        raise InputError(
            f"cells of {size} px are too small for {tap} of {network.name}; "
            f"the smallest is --cell {smallest}"
        ) from None


def rendered(
    network: Network,
    tap: str,
    directions: Sequence[Tensor],
    mean: Tensor,
    size: int,
    steps: int,
    seed: int = 0,
    advance: Callable[[float], None] = lambda done: None,
) -> Iterator[Tensor]:
    """A picture for each direction, from noise, by following the gradient.

    Args:
        directions: float32 [C] each, from the mean.
        mean: float32 [C], of the tap's vectors.
        size: side of the pictures in pixels.
        advance: told how many are done, with a part of those at work.
    Returns:
        RGB [1, 3, size, size] in [0, 1].
    """
    random = torch.Generator().manual_seed(seed)
    for first in range(0, len(directions), TOGETHER):
        chosen = torch.stack(list(directions[first : first + TOGETHER]))
        start = (0.5 + 0.02 * torch.randn(len(chosen), 3, size, size, generator=random)).clamp(0, 1)
        canvases = [SigmoidCanvas(each[None]) for each in start]
        adam = Adam([p for canvas in canvases for p in canvas.parameters], RATE)
        for step in range(steps):
            view = random_view(ROLL, 1.0, random, step)
            adam.step(partial(_loss, network, tap, canvases, chosen, mean, view))
            advance(first + len(chosen) * (step + 1) / steps)
        with torch.no_grad():
            for canvas in canvases:
                yield canvas.image()


def _loss(
    network: Network,
    tap: str,
    canvases: Sequence[SigmoidCanvas],
    directions: Tensor,
    mean: Tensor,
    view: View,
) -> float:
    """The distance, whose gradient it leaves at the canvases."""
    for canvas in canvases:
        for parameter in canvas.parameters:
            parameter.grad = None
    images = torch.cat([canvas.image() for canvas in canvases])
    value = _distance(network, tap, images, directions, mean, view)
    value.backward()  # type: ignore[no-untyped-call]
    return float(value.detach())


def _distance(
    network: Network, tap: str, images: Tensor, directions: Tensor, mean: Tensor, view: View
) -> Tensor:
    """Less, the further and the straighter all places point in the direction."""
    maps = network(view(images), [tap])[tap].float()
    apart = maps.flatten(2) - mean[None, :, None]
    unit = directions / directions.norm(dim=1, keepdim=True).clamp_min(1e-12)
    dot = torch.einsum("ncp,nc->np", apart, unit)
    cosine = dot / apart.norm(dim=1).clamp_min(1e-6)
    score = dot * cosine.clamp_min(LEAST) ** POWER
    # Each picture counts alike, however long its vectors are.
    result: Tensor = -(score.mean(1) / directions.norm(dim=1).clamp_min(1e-12)).sum()
    return result
