"""Quantizers: a forward map to few values, and a named surrogate for its gradient.

An `Estimator` is the factor by which the gradient is multiplied on its way back through a sign;
a quantizer is a module that maps real values to few. Forward and gradient equal larq's. The
estimator that a network was trained with is part of its quantizers; the one used for the gradient
to an image is chosen apart from it, with `image_estimator`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .errors import InputError, unknown_name


def sign(x: Tensor) -> Tensor:
    """-1 where x < 0, else +1, in x's dtype; sign(0) = sign(-0) = +1."""
    # Comparing in place, without a map of truths, takes an eighth of the time of torch.where.
    return x.detach().clone().lt_(0).mul_(-2).add_(1)


def _straight_through(x: Tensor) -> Tensor:
    return x.detach().abs().le_(1)


def _approx(x: Tensor) -> Tensor:
    return x.detach().abs().mul_(-2).add_(2).clamp_(min=0)


def _swish(x: Tensor) -> Tensor:
    # larq's beta of 5. Beyond |5x| = 60 the factor is below 1e-23, and cosh would overflow.
    bx = (5.0 * x).clamp(-60, 60)
    return 5.0 * (2 - bx * torch.tanh(bx / 2)) / (1 + torch.cosh(bx))


def _ede(x: Tensor) -> Tensor:
    return 1 - torch.tanh(x).square()


ESTIMATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "ste": _straight_through,
    "approx": _approx,
    "swish": _swish,
    "ede": _ede,
    "identity": torch.ones_like,
}
"""Gradient factors at width 1, as functions of the value before the sign."""


@dataclass(frozen=True)
class Estimator:
    """A surrogate for the derivative of sign: the factor f(x / width).

    ste: 1 where |x| <= width (straight-through with clip = width, Hubara et al. 2016).
    approx: 2 - 2 |x / width| inside the width, else 0 (ApproxSign, Bi-Real Net 2018).
    swish: SwishSign with beta = 5 / width, times width (BNN+, Darabi et al. 2018).
    ede: 1 - tanh^2(x / width), times 1 / width where the width is below 1 (IR-Net 2020: temperature
        t = 1 / width and k = max(1 / t, 1), so that k t = max(1, t)).
    identity: 1 everywhere; the width has no meaning.

    Raises:
        InputError: unknown name, or a width that is not positive and finite.
    """

    name: str = "ste"
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in ESTIMATORS:
            raise unknown_name("estimator", self.name, ESTIMATORS)
        if not (self.width > 0 and math.isfinite(self.width)):
            raise InputError(f"estimator width must be a positive number, not {self.width}")

    def factor(self, x: Tensor) -> Tensor:
        """The gradient factor at each x, same shape and dtype."""
        if self.name == "ste":
            # As the packed engine compares: by the width itself.
            return x.detach().abs().le_(self.width)
        factor = ESTIMATORS[self.name](x if self.width == 1 else x / self.width)
        return factor / self.width if self.name == "ede" and self.width < 1 else factor


_image_estimator: ContextVar[Estimator | None] = ContextVar("image_estimator", default=None)


@contextmanager
def image_estimator(estimator: Estimator | None) -> Iterator[None]:
    """Within this context every activation quantizer uses this estimator for its gradient.

    None leaves each quantizer its own. Bound to the current thread or task, so two paintings
    in one process do not disturb each other.
    """
    token = _image_estimator.set(estimator)
    try:
        yield
    finally:
        _image_estimator.reset(token)


def current_image_estimator() -> Estimator | None:
    """What `image_estimator` has set here, or None."""
    return _image_estimator.get()


class _Surrogate(torch.autograd.Function):
    """value(x) forward, the upstream gradient times a factor of x backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, value: Callable[[Tensor], Tensor], factor: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.factor = factor
        return value(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ctx.factor(x), None, None


def surrogate(
    x: Tensor, value: Callable[[Tensor], Tensor], factor: Callable[[Tensor], Tensor]
) -> Tensor:
    """value(x), whose gradient is the upstream one times factor(x)."""
    result: Tensor = _Surrogate.apply(x, value, factor)  # type: ignore[no-untyped-call]
    return result


class Quantizer(nn.Module):
    """Maps real values to few; `precision` is the bits a value takes."""

    precision: int = 1


class Sign(Quantizer):
    """sign with a surrogate gradient: larq's ste_sign(clip), approx_sign and swish_sign.

    Args:
        estimator: the gradient in training, and in painting unless `image_estimator` sets another.
    """

    def __init__(self, estimator: Estimator | None = None) -> None:
        super().__init__()
        self.estimator = estimator or Estimator()

    def forward(self, x: Tensor) -> Tensor:
        return surrogate(x, sign, (_image_estimator.get() or self.estimator).factor)

    def extra_repr(self) -> str:
        return f"{self.estimator.name}, width={self.estimator.width}"


class MagnitudeAwareSign(Quantizer):
    """Kernel sign times the mean magnitude, which counts as a constant for the gradient.

    Args:
        clip: gradient is 0 where |w| exceeds it; None passes it everywhere.
        per_filter: one scale for each output filter, by which the gradient is scaled too (Bi-Real
            Net; larq's magnitude_aware_sign), or one for the layer, around which the gradient
            passes as it passes around the sign (larq-zoo's DoReFa-Net).
    """

    def __init__(self, clip: float | None = 1.0, per_filter: bool = True) -> None:
        super().__init__()
        self.estimator = Estimator("identity") if clip is None else Estimator("ste", clip)
        self.per_filter = per_filter

    def forward(self, weight: Tensor) -> Tensor:
        """weight: [O, ...]; returns the same shape."""
        if not self.per_filter:
            return surrogate(weight, lambda w: w.abs().mean() * sign(w), self.estimator.factor)
        scale = weight.detach().abs().mean(tuple(range(1, weight.dim())), keepdim=True)
        return scale * surrogate(weight, sign, self.estimator.factor)


class XnorScale(Quantizer):
    """Kernel sign times the mean magnitude of each filter, which takes part in the gradient.

    The weights are clipped to [-1, 1] first (larq-zoo's xnor_weight_scale; Rastegari et al. 2016).
    """

    def forward(self, weight: Tensor) -> Tensor:
        """weight: [O, ...]; returns the same shape."""
        clipped = weight.clamp(-1, 1)
        scale = clipped.abs().mean(tuple(range(1, weight.dim())), keepdim=True)
        return scale * surrogate(clipped, sign, Estimator().factor)


class Ternary(Quantizer):
    """-1, 0 or +1: zero within the threshold (larq's SteTern; Li et al. 2016).

    Args:
        threshold: half the width of the zero band.
        relative: use 0.7 times the mean magnitude of the whole tensor instead (ternary weight
            networks).
        clip: the gradient is 0 where |x| exceeds it.
    """

    precision = 2

    def __init__(self, threshold: float = 0.05, relative: bool = False, clip: float = 1.0) -> None:
        super().__init__()
        self.threshold = threshold
        self.relative = relative
        self.estimator = Estimator("ste", clip)

    def forward(self, x: Tensor) -> Tensor:
        threshold = 0.7 * x.detach().abs().mean() if self.relative else self.threshold

        def ternary(value: Tensor) -> Tensor:
            return ((value + threshold).sign() + (value - threshold).sign()).sign()

        return surrogate(x, ternary, self.estimator.factor)


class Heaviside(Quantizer):
    """1 where x > 0, else 0, with a clipped straight-through gradient (larq's SteHeaviside)."""

    def __init__(self, clip: float = 1.0) -> None:
        super().__init__()
        self.estimator = Estimator("ste", clip)

    def forward(self, x: Tensor) -> Tensor:
        estimator = _image_estimator.get() or self.estimator
        return surrogate(x, lambda value: (value > 0).to(value.dtype), estimator.factor)


class DoReFa(Quantizer):
    """k-bit activations: round(n clip(x, 0, 1)) / n with n = 2^k - 1 (Zhou et al. 2016).

    Rounds half to even. The gradient is 1 within [0, 1], else 0; an image estimator acts on
    2 x - 1, so that its width of 1 is this interval.

    Args:
        bits: k, at least 1.
    """

    def __init__(self, bits: int = 2) -> None:
        super().__init__()
        if bits < 1:
            raise InputError(f"DoReFa needs at least one bit, not {bits}")
        self.precision = bits

    def forward(self, x: Tensor) -> Tensor:
        levels = 2**self.precision - 1
        estimator = _image_estimator.get() or Estimator()
        return surrogate(
            x,
            lambda value: torch.round(value.clamp(0, 1) * levels) / levels,
            lambda value: estimator.factor(2 * value - 1),
        )

    def extra_repr(self) -> str:
        return f"bits={self.precision}"


class DoReFaWeights(Quantizer):
    """k-bit weights in [-1, 1] through tanh, scaled by the largest (Zhou et al. 2016, eq. 9).

    The scale counts as a constant for the gradient, the rounding as the identity.

    Args:
        bits: k, at least 1.
    """

    def __init__(self, bits: int = 2) -> None:
        super().__init__()
        if bits < 1:
            raise InputError(f"DoReFa needs at least one bit, not {bits}")
        self.precision = bits

    def forward(self, weight: Tensor) -> Tensor:
        levels = 2**self.precision - 1
        squashed = torch.tanh(weight)
        unit = squashed / (2 * squashed.detach().abs().max()) + 0.5
        rounded = surrogate(unit, lambda u: torch.round(u * levels) / levels, torch.ones_like)
        return 2 * rounded - 1
