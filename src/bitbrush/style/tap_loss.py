"""The loss of one map as a single function, with its gradient where the map was.

Style is a function of the map's mean and covariance, and content a square of its difference from
another: both gradients are linear in the map. So nothing but the map is kept for the way back,
and where nobody else keeps it, its gradient takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..networks.handover import give_away
from .losses import ContentTerm, StyleTerm, Term, evaluate, summed
from .statistics import Moments, channel_statistics, write_gradient


def tap_loss(
    features: Tensor,
    terms: Sequence[Term],
    random: torch.Generator,
    parts: dict[str, float],
    *,
    overwrite: bool = False,
    half: bool = False,
) -> Tensor:
    """The weighted sum of the distances of one tap's terms, a scalar to differentiate.

    Args:
        features: [1, C, H, W].
        terms: all of this tap.
        random: source of what a statistic draws.
        parts: gets what each name contributes.
        overwrite: the gradient may be written over the features, which nothing else keeps. They
            are of no use after that.
        half: the gradient may be computed in bfloat16.
    """
    loss: Tensor = _TapLoss.apply(features, tuple(terms), random, parts, overwrite, half)  # type: ignore[no-untyped-call]
    return loss


def of_moments(
    terms: Iterable[StyleTerm], moments: Moments
) -> tuple[dict[str, float], Tensor, Tensor]:
    """Terms that look at nothing but moments.

    Args:
        terms: at least one.
    Returns:
        what each name contributes, and the sum's gradients to mean [C] and covariance [C, C].
    """
    parts: dict[str, float] = {}
    gradients: list[Tensor] = []
    for term in terms:
        distance, *found = term.target.with_gradients(moments, term.weight)
        summed(parts, {term.name: term.weight * distance})
        for one, more in zip(gradients, found, strict=False):
            one.add_(more)
        gradients = gradients or found
    of_mean, of_matrix = gradients
    return parts, of_mean, of_matrix


@dataclass(frozen=True)
class Slopes:
    """Gradients of a loss to the mean and covariance of a map.

    Attributes:
        moments: of the whole map.
        of_mean: [C]; of_matrix: [C, C].
    """

    moments: Moments
    of_mean: Tensor
    of_matrix: Tensor


def write_slopes(
    result: Tensor,
    features: Tensor,
    style: Slopes | None,
    contents: Sequence[ContentTerm],
    half: bool,
    own: tuple[slice, ...] = (),
) -> None:
    """The gradient to a map of the terms of its moments and its contents.

    Args:
        result: written to, of the features' shape; it may be the features themselves.
        style: None where no style counts.
        contents: with targets of the own part's shape.
        half: whether bfloat16 will do.
        own: index of the part of a tile's map that counts; elsewhere the gradient is 0.
    """
    slopes = [term.slope(features[own]) for term in contents]
    if style is None:
        torch.mul(features, sum(slopes), out=result)
    else:
        write_gradient(
            result, features, style.moments, style.of_mean, style.of_matrix, sum(slopes), half
        )
    for term, slope in zip(contents, slopes, strict=True):
        result[own].sub_(term.target, alpha=slope)
    for axis, part in enumerate(own):
        first, last, _ = part.indices(result.shape[axis])
        result.narrow(axis, 0, first).zero_()
        result.narrow(axis, last, result.shape[axis] - last).zero_()


class _TapLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        terms: tuple[Term, ...],
        random: torch.Generator,
        parts: dict[str, float],
        overwrite: bool,
        half: bool,
    ) -> Tensor:
        tap = terms[0].tap
        styles = [term for term in terms if isinstance(term, StyleTerm) and term.takes_moments]
        contents = [term for term in terms if isinstance(term, ContentTerm)]
        others = [term for term in terms if term not in (*styles, *contents)]
        losses: list[float] = []
        ctx.of_style = None
        if styles:
            moments = channel_statistics(features)
            found, of_mean, of_matrix = of_moments(styles, moments)
            losses.extend(found.values())
            summed(parts, found)
            ctx.of_style = Slopes(moments, of_mean, of_matrix)
        if contents:
            _, found = evaluate(contents, {tap: features}, random)
            losses.extend(found.values())
            summed(parts, found)
        ctx.of_others = None
        if others:
            leaf = features.detach().requires_grad_(True)
            with torch.enable_grad():
                loss, found = evaluate(others, {tap: leaf}, random)
                (ctx.of_others,) = torch.autograd.grad(loss, leaf)
            losses.extend(found.values())
            summed(parts, found)
        ctx.contents, ctx.overwrite, ctx.half = contents, overwrite, half
        ctx.save_for_backward(features)
        return features.new_tensor(sum(losses))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (features,) = ctx.saved_tensors
        result: Tensor = features if ctx.overwrite else torch.empty_like(features)
        write_slopes(result, features, ctx.of_style, ctx.contents, ctx.half)
        if ctx.of_others is not None:
            result += ctx.of_others
        # A loss is a sum, and so its parts have a gradient of 1; others are for the sake of order.
        if float(gradients[0]) != 1:
            result *= gradients[0]
        return give_away(result) if ctx.overwrite else result, None, None, None, None, None
