"""The loop: a generator of steps, from a job to its last picture."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..engine.rounding import rounding_seed
from ..errors import PaintingError
from ..images import resize
from ..quantizers import image_estimator
from .adam import Adam
from .canvas import Canvas, make_canvas
from .job import Job
from .objective import drawn_view, make_objective
from .scales import Scale
from .state import Average, State, flatten, unflatten
from .views import View, blurred

HOLD = 5
"""Steps between two random views. Each new view costs a forward pass for the content's features;
an L-BFGS run needs the loss to stay the same for a while."""


LAST_RATE = 0.1
"""What the size of a step falls to within a scale, where it falls."""


@dataclass(frozen=True)
class Step:
    """One step of a painting.

    Attributes:
        scale, scales: index of the current scale, and how many there are.
        done, steps: steps done in all, and how many there will be.
        height, width: of the current scale in pixels.
        losses: what each named term contributed.
        history: the whole loss after each step so far.
        picture: gives RGB [1, 3, height, width], the average so far; only until the next step.
        state: gives all that is needed to continue from here; only until the next step.
    """

    scale: int
    scales: int
    done: int
    steps: int
    height: int
    width: int
    losses: Mapping[str, float]
    history: Sequence[float]
    picture: Callable[[], Tensor]
    state: Callable[[], State]

    @property
    def loss(self) -> float:
        """The whole loss."""
        return sum(self.losses.values())


def painting_steps(job: Job, state: State | None = None) -> Iterator[Step]:
    """Paints, coarse to fine; yields after every optimiser step.

    The loop knows nothing of files, progress or time: whoever iterates does.

    Args:
        state: of an earlier step of the same job, to continue from it bit for bit.
    Raises:
        PaintingError: a loss is no finite number; the last good picture is its `picture`.
    """
    scales = job.scales()
    index = state.scale if state else 0
    random = torch.Generator().manual_seed(job.settings.seed)
    previous = None if state else _first_picture(job, scales[0], random)
    losses = list(state.losses) if state else []
    while index < len(scales):
        painter = ScalePainter(job, scales[index], previous, random)
        if state is not None:
            painter.restore(state)
            state = None  # its pictures would stay beside the painter's own
        while painter.done < scales[index].steps:
            try:
                parts = painter.advance()
            except PaintingError as error:
                if error.picture is None and losses and previous is not None:
                    error.picture = previous.cpu()
                raise
            losses.append(sum(parts.values()))
            yield _step(painter, index, scales, parts, losses)
        previous = painter.average.value()
        # Its pictures would stay beside those of the next scale. Whoever has the last step has the
        # painter too, but nothing more is asked of its objective.
        del painter.objective, painter
        index += 1


def _step(
    painter: ScalePainter,
    index: int,
    scales: list[Scale],
    parts: Mapping[str, float],
    losses: list[float],
) -> Step:
    total = sum(scale.steps for scale in scales[:index]) + painter.done
    return Step(
        scale=index,
        scales=len(scales),
        done=total,
        steps=sum(scale.steps for scale in scales),
        height=painter.scale.height,
        width=painter.scale.width,
        losses=parts,
        history=losses,
        picture=lambda: painter.average.value().cpu(),
        state=lambda: painter.state(index, total, losses),
    )


def _first_picture(job: Job, scale: Scale, random: torch.Generator) -> Tensor:
    init = job.settings.init
    shape = (1, 3, scale.height, scale.width)
    if job.init is not None:
        return resize(job.init, scale.height, scale.width)
    if init == "noise":
        return torch.rand(shape, generator=random)
    if init == "grey":
        # Not quite flat: a flat picture has no gradient towards any stroke.
        return 0.5 + 0.02 * (torch.rand(shape, generator=random) - 0.5)
    return resize(job.content, scale.height, scale.width)


class ScalePainter:
    """One scale of a painting: the canvas, its optimiser, and the loss at this size."""

    def __init__(
        self, job: Job, scale: Scale, previous: Tensor | None, random: torch.Generator
    ) -> None:
        """Args:
        previous: picture to begin with, of any size; None where `restore` will follow.
        """
        self.job = job
        self.scale = scale
        self.random = random
        self.done = 0
        self.caution = 1.0
        device = job.network.mean.device
        self.content = resize(job.content, scale.height, scale.width).to(device)
        start = (
            self.content
            if previous is None
            else resize(previous.cpu(), scale.height, scale.width).to(device)
        )
        self.canvas: Canvas = make_canvas(job.settings.canvas, start.clamp(0, 1))
        self.average = Average(job.settings.average or 0.0)
        self.optimizer = _optimizer(job, self.canvas)
        self.objective = make_objective(job, scale, self.content)

    def advance(self) -> dict[str, float]:
        """One step (for L-BFGS up to HOLD evaluations); returns the loss's parts by name."""
        settings = self.job.settings
        if self.done % HOLD == 0 or settings.optimizer == "lbfgs":
            self.objective.look(drawn_view(settings, self.random, self.done // HOLD))
        evaluations: list[dict[str, float]] = []

        def closure() -> float:
            loss, parts = self._loss_and_gradient()
            evaluations.append(parts)
            return loss

        if isinstance(self.optimizer, Adam):
            self.optimizer.lr = self._rate()
            self.optimizer.step(closure)
            arrived = evaluations[-1]
        else:
            arrived = self._descend(closure, evaluations)
        self.canvas.constrain()
        self.done += len(evaluations)
        with torch.no_grad():
            image = self.canvas.image()
            if not bool(image.isfinite().all()):
                raise self._failure(arrived)
            self.average.update(image, len(evaluations))
        return arrived

    def _rate(self) -> float:
        """The size of Adam's next step."""
        rate = _learning_rate(self.job)
        if self.job.settings.schedule == "constant":
            return rate
        fall = (1 + math.cos(math.pi * self.done / self.scale.steps)) / 2
        return rate * (LAST_RATE + (1 - LAST_RATE) * fall)

    def _descend(
        self, closure: Callable[[], float], evaluations: list[dict[str, float]]
    ) -> dict[str, float]:
        """Up to HOLD evaluations of L-BFGS, taken back to the lowest of them.

        Returns the parts of the loss where it arrived.

        L-BFGS without a line search goes too far where the curvature changes. What it has learnt
        is then forgotten, and it goes on from where it was lowest with shorter steps for a while.
        """
        assert isinstance(self.optimizer, torch.optim.Optimizer)
        lowest, kept = math.inf, list[Tensor]()

        def watched() -> float:
            nonlocal lowest, kept
            loss = closure()
            if loss < lowest:
                lowest, kept = loss, [each.detach().clone() for each in self.canvas.parameters]
            return loss

        for group in self.optimizer.param_groups:
            group["lr"] = self.caution * _learning_rate(self.job)
            group["max_iter"] = group["max_eval"] = min(HOLD, self.scale.steps - self.done)
        self.optimizer.step(watched)
        losses = [sum(parts.values()) for parts in evaluations]
        best = losses.index(min(losses))
        if best == len(losses) - 1:
            self.caution = min(2 * self.caution, 1.0)
            return evaluations[-1]
        self.caution /= 4
        self.optimizer.state.clear()
        with torch.no_grad():
            for parameter, old in zip(self.canvas.parameters, kept, strict=True):
                parameter.copy_(old)
        return evaluations[best]

    def _loss_and_gradient(self) -> tuple[float, dict[str, float]]:
        settings = self.job.settings
        for parameter in self.canvas.parameters:
            parameter.grad = None
        image = self.canvas.image()
        with image_estimator(self.job.estimator), rounding_seed(settings.seed):
            gradient, parts = self.objective.gradient(image.detach(), self.random)
        loss_value = sum(parts.values())
        if not (math.isfinite(loss_value) and bool(gradient.isfinite().all())):
            raise self._failure(parts)
        # A pixel's share of the loss falls with their number. Optimisers compare gradients with
        # fixed thresholds, so they get the loss summed over the pixels: the same at every size.
        pixels = gradient[0, 0].numel()
        gradient *= pixels
        if settings.blur_gradient:
            gradient = blurred(gradient)
        # The same as a gradient given to `backward`, which brings in sympy to check its shape.
        (image * gradient).sum().backward()  # type: ignore[no-untyped-call]
        return loss_value * pixels, parts

    def _failure(self, parts: Mapping[str, float]) -> PaintingError:
        wrong = [name for name, value in parts.items() if not math.isfinite(value)]
        error = PaintingError(
            f"the loss became infinite or no number at step {self.done + 1} of "
            f"{self.scale.width}x{self.scale.height} px ({', '.join(wrong) or 'its gradient'}); "
            "try a smaller --learning-rate or smaller weights"
        )
        if self.average.sum is not None and bool(self.average.sum.isfinite().all()):
            error.picture = self.average.value().cpu()
        return error

    def state(self, index: int, total: int, losses: list[float]) -> State:
        """Everything needed to continue after this step."""
        tensors: dict[str, Tensor] = {"random": self.random.get_state()}
        for number, parameter in enumerate(self.canvas.parameters):
            tensors[f"canvas.{number}"] = parameter.detach().clone()
        if self.average.sum is not None:
            tensors["average"] = self.average.sum.clone()
        view = self.objective.view
        values: dict[str, Any] = {
            "average": self.average.weight,
            "caution": self.caution,
            "view": dataclasses.astuple(view),
            "optimizer": flatten(self.optimizer.state_dict()["state"], "optimizer", tensors),
        }
        return State(index, self.done, total, tuple(losses), values, tensors)

    def restore(self, state: State) -> None:
        """Continues where a state was taken."""
        self.done = state.done
        self.random.set_state(state.tensors["random"])
        with torch.no_grad():
            for number, parameter in enumerate(self.canvas.parameters):
                parameter.copy_(state.tensors[f"canvas.{number}"])
        self.average.weight = float(state.values["average"])
        self.caution = float(state.values["caution"])
        self.average.sum = state.tensors["average"].to(self.content.device, copy=True)
        groups = self.optimizer.state_dict()["param_groups"]
        # Copies, because an optimiser changes its tensors in place and the state must not change.
        tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
        optimizer_state = unflatten(state.values["optimizer"], tensors)
        self.optimizer.load_state_dict({"state": optimizer_state, "param_groups": groups})
        self.objective.look(View(*state.values["view"]))


def _learning_rate(job: Job) -> float:
    rate = job.settings.learning_rate
    assert rate is not None, "a job's settings are resolved"
    return rate


def _optimizer(job: Job, canvas: Canvas) -> torch.optim.Optimizer | Adam:
    rate = _learning_rate(job)
    if job.settings.optimizer == "lbfgs":
        # Without tolerances: how long to paint is the user's choice.
        return torch.optim.LBFGS(
            canvas.parameters,
            lr=rate,
            max_iter=HOLD,
            history_size=10,
            tolerance_grad=0,
            tolerance_change=0,
        )
    window = job.settings.step_window or 1
    shared = partial(blurred, times=window // 2) if window > 1 else None
    return Adam(canvas.parameters, lr=rate, shared=shared)
