"""Losses that quickbrush does not paint by: would it paint better by them?

    python benchmarks/other_losses.py IMAGES -o FOLDER --count 4 \\
        "content in style 1" "taps by distance 1" "squares too 0.3"

- "content in style P": the content's features are first given the style's mean and deviation in
  each channel (as Huang and Belongie do, 2017), by a share P of the way; so keeping the drawing and
  taking on the palette pull less against each other.
- "taps by distance P": each tap counts relative to how far the photograph is from the style there,
  to the power P, as the judge has it.
- "squares too P": squared differences of covariances take a share P in the style's distance.

Printed: style distance at equal content distance against the painter as it is, on the tuning pairs,
and medians of the artefacts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from weakref import WeakKeyDictionary

import torch
import typer
from changed import compare, run
from torch import Tensor

from bitbrush.style.losses import ContentTerm, content_variance
from bitbrush.style.statistics import Moments, channel_statistics
from bitbrush.style.target import StyleTarget

TINY = 1e-6

STEEPEST = 5.0
"""Times a channel's deviation may be raised or lowered to a style's."""


def content_in_style(share: float) -> None:
    """Gives content features the style's mean and deviation; taps are told by their channels."""
    seen: dict[int, Moments] = {}
    begin = StyleTarget.__init__

    def remember(self: StyleTarget, style: Tensor | Moments, statistic: str = "covariance") -> None:
        moments = channel_statistics(style.detach()) if isinstance(style, Tensor) else style
        seen[len(moments.mean)] = moments
        begin(self, style, statistic)

    def of(cls: type[ContentTerm], tap: str, weight: float, features: Tensor) -> ContentTerm:
        own = channel_statistics(features)
        style = seen.get(features.shape[1], own)
        times = (_deviation(style) / _deviation(own)).clamp(1 / STEEPEST, STEEPEST)
        moved = (features.float() - _mean(own)) * times + _mean(style)
        target = torch.lerp(features.float(), moved, share)
        return cls(tap, weight, target, content_variance(own))

    StyleTarget.__init__ = remember  # type: ignore[method-assign]
    ContentTerm.of = classmethod(of)  # type: ignore[assignment,method-assign]


def _mean(moments: Moments) -> Tensor:
    return moments.mean.view(1, -1, 1, 1)


def _deviation(moments: Moments) -> Tensor:
    return (moments.matrix.diagonal().clamp(min=0) + TINY).sqrt().view(1, -1, 1, 1)


def taps_by_distance(power: float, taps: int = 5) -> None:
    """Weighs each tap by what its distance was at the first step."""
    first: dict[int, float] = {}
    plain = StyleTarget.with_gradients

    def weighed(self: StyleTarget, moments: Moments, weight: float) -> tuple[float, Tensor, Tensor]:
        channels, factor = len(moments.mean), 1.0
        if len(first) == taps:
            factor = (sum(first.values()) / taps / first[channels]) ** power
        distance, *gradients = plain(self, moments, weight * factor)
        if len(first) < taps and distance > TINY:
            first[channels] = distance
        return distance * factor, gradients[0], gradients[1]

    StyleTarget.with_gradients = weighed  # type: ignore[method-assign]


def squares_too(share: float) -> None:
    """Mixes squared differences of covariances into the Wasserstein distance."""
    begin, plain = StyleTarget.__init__, StyleTarget.with_gradients
    others: WeakKeyDictionary[StyleTarget, StyleTarget] = WeakKeyDictionary()

    def beside(self: StyleTarget, style: Tensor | Moments, statistic: str = "covariance") -> None:
        begin(self, style, statistic)
        others[self] = StyleTarget.__new__(StyleTarget)
        begin(others[self], style, "covariance")

    def mixed(self: StyleTarget, moments: Moments, weight: float) -> tuple[float, Tensor, Tensor]:
        one = plain(self, moments, weight * (1 - share))
        other = plain(others[self], moments, weight * share)
        return one[0] * (1 - share) + other[0] * share, one[1] + other[1], one[2] + other[2]

    StyleTarget.__init__ = beside  # type: ignore[method-assign]
    StyleTarget.with_gradients = mixed  # type: ignore[method-assign]


IDEAS = {
    "content in style": content_in_style,
    "taps by distance": taps_by_distance,
    "squares too": squares_too,
}


def known(told: str) -> tuple[Callable[[float], None], float]:
    """What an idea and its number mean.

    Raises:
        typer.BadParameter: nobody knows that idea.
    """
    name, _, value = told.rpartition(" ")
    try:
        return IDEAS[name], float(value)
    except (KeyError, ValueError):
        message = f"{told!r} is not one of {', '.join(IDEAS)}, and a number"
        raise typer.BadParameter(message) from None


def change(told: str) -> None:
    """Changes the painter."""
    idea, value = known(told)
    idea(value)


def main(
    images: Annotated[Path, typer.Argument(help="Folder with content/ and style/.")],
    ideas: Annotated[list[str], typer.Argument(help="An idea and its number.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for all that is made.")],
    network: Annotated[str, typer.Option(help="Who paints.")] = "quickbrush",
    judge: Annotated[str, typer.Option(help="The judge.")] = "squeezenet",
    size: Annotated[int, typer.Option(help="Long edge in pixels.")] = 256,
    count: Annotated[int | None, typer.Option(help="Only so many pairs, evenly spread.")] = None,
) -> None:
    """Compare ideas with the painter as it is."""
    for idea in ideas:
        known(idea)
    compare(images, output, ideas, network, judge, size, count)


if __name__ == "__main__":
    run(main, change)
