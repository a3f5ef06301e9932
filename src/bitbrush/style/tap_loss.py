"""The loss of one map as a single function, with its gradient where the map was.

Style is a function of the map's mean and covariance, and content a square of its difference from
another: both gradients are linear in the map. So nothing but the map is kept for the way back,
and where nobody else keeps it, its gradient takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from .losses import ContentTerm, Term, evaluate, summed
from .statistics import Moments, channel_statistics, write_gradient


def tap_loss(
    features: Tensor,
    terms: Sequence[Term],
    random: torch.Generator,
    parts: dict[str, float],
    *,
    overwrite: bool = False,
) -> Tensor:
    """The weighted sum of the distances of one tap's terms, a scalar to differentiate.

    Args:
        features: [1, C, H, W].
        terms: all of this tap.
        random: source of what a statistic draws.
        parts: gets what each name contributes.
        overwrite: the gradient may be written over the features, which nothing else keeps. They
            are of no use after that.
    """
    loss: Tensor = _TapLoss.apply(features, tuple(terms), random, parts, overwrite)  # type: ignore[no-untyped-call]
    return loss


def of_moments(
    terms: Iterable[Term], tap: str, moments: Moments, random: torch.Generator
) -> tuple[Tensor, dict[str, float], Tensor, Tensor]:
    """The sum of terms that look at nothing but moments.

    Returns:
        the sum, its parts by name, and its gradients to mean [C] and covariance [C, C].
    """
    leaves = [value.detach().requires_grad_(True) for value in (moments.mean, moments.matrix)]
    with torch.enable_grad():
        variable = Moments(leaves[0], leaves[1], moments.count)
        loss, parts = evaluate(list(terms), {tap: variable}, random)
        of_mean, of_matrix = torch.autograd.grad(loss, leaves)
    return loss.detach(), parts, of_mean, of_matrix


class _TapLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        terms: tuple[Term, ...],
        random: torch.Generator,
        parts: dict[str, float],
        overwrite: bool,
    ) -> Tensor:
        tap = terms[0].tap
        styles = [term for term in terms if term.takes_moments]
        contents = [term for term in terms if isinstance(term, ContentTerm)]
        others = [term for term in terms if term not in (*styles, *contents)]
        losses = []
        ctx.moments = None
        if styles:
            moments = channel_statistics(features)
            loss, found, *gradients = of_moments(styles, tap, moments, random)
            losses.append(loss)
            summed(parts, found)
            ctx.moments = (moments, *gradients)
        if contents:
            loss, found = evaluate(contents, {tap: features}, random)
            losses.append(loss)
            summed(parts, found)
        ctx.of_others = None
        if others:
            leaf = features.detach().requires_grad_(True)
            with torch.enable_grad():
                loss, found = evaluate(others, {tap: leaf}, random)
                (ctx.of_others,) = torch.autograd.grad(loss, leaf)
            losses.append(loss.detach())
            summed(parts, found)
        ctx.contents, ctx.overwrite = contents, overwrite
        ctx.save_for_backward(features)
        return torch.stack(losses).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (features,) = ctx.saved_tensors
        result: Tensor = features if ctx.overwrite else torch.empty_like(features)
        slope = sum(term.slope(features) for term in ctx.contents)
        if ctx.moments is None:
            torch.mul(features, slope, out=result)
        else:
            moments, of_mean, of_matrix = ctx.moments
            write_gradient(result, features, moments, of_mean, of_matrix, slope)
        for term in ctx.contents:
            result.sub_(term.target, alpha=term.slope(features))
        if ctx.of_others is not None:
            result += ctx.of_others
        # A loss is a sum, and so its parts have a gradient of 1; others are for the sake of order.
        if float(gradients[0]) != 1:
            result *= gradients[0]
        return result, None, None, None, None
