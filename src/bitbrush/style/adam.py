"""Adam, for a canvas.

torch's own gives the same numbers, but its first use brings in torch's compiler: a second and
70 MB, more than many a painting's maps.

Where each pixel has a step size of its own, the picture gets what its gradient does not have. The
mean square of a smooth gradient is not smooth: two waves of four pixels make one of two. Divided by
its root, a gradient without any lattice leaves one. Blurred squares do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

TINY = 1e-8
"""Added to the root of the mean square."""


class Adam:
    """Steps of equal size, whatever the size of the gradients.

    Args:
        parameters: changed in place, by their `grad`.
        lr: size of a step.
        betas: decay of the means of the gradient and of its square.
        shared: of the mean squares of a parameter, those that its steps are divided by, in memory
            of their own; themselves if there is none.
    Source: Kingma and Ba 2015.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        shared: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.parameters = list(parameters)
        self.lr, self.betas, self.shared = lr, betas, shared
        self.state: dict[int, dict[str, Any]] = {
            number: {
                "step": 0,
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }
            for number, parameter in enumerate(self.parameters)
        }

    @torch.no_grad()
    def step(self, closure: Callable[[], float]) -> float:
        """One step, after the closure has set the gradients; returns what that returns."""
        with torch.enable_grad():
            loss = closure()
        first, second = self.betas
        for number, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            held = self.state[number]
            held["step"] += 1
            mean, square, count = held["exp_avg"], held["exp_avg_sq"], held["step"]
            mean.lerp_(parameter.grad, 1 - first)
            square.mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
            # Both begin at 0, which is made up for.
            root = square.clone() if self.shared is None else self.shared(square)
            root.sqrt_().div_((1 - second**count) ** 0.5).add_(TINY)
            parameter.addcdiv_(mean, root, value=-self.lr / (1 - first**count))
        return loss

    def state_dict(self) -> dict[str, Any]:
        """As an optimiser of torch's."""
        return {"state": self.state, "param_groups": []}

    def load_state_dict(self, held: Mapping[str, Any]) -> None:
        """What `state_dict` gave, also of torch's, and on whatever device."""
        self.state = {
            int(number): {
                "step": int(state["step"]),
                **{
                    name: state[name].to(self.parameters[int(number)].device)
                    for name in ("exp_avg", "exp_avg_sq")
                },
            }
            for number, state in held["state"].items()
        }
