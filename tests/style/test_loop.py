"""The loop: it paints, it is repeatable, it resumes to the bit, and it stops when it must."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bitbrush.errors import InputError, PaintingError
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.style import statistics
from bitbrush.style.canvas import PixelCanvas
from bitbrush.style.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from bitbrush.style.job import Job
from bitbrush.style.loop import ScalePainter, Step, painting_steps
from bitbrush.style.settings import STATISTICS
from bitbrush.style.state import State

MakeJob = Callable[..., Job]
WAYS: dict[str, dict[str, Any]] = {
    "adam": {},
    "cosine": {"schedule": "cosine"},
    "lbfgs": {"optimizer": "lbfgs"},
    "fourier": {"canvas": "fourier", "init": "noise"},
    "lbfgs on fourier": {"optimizer": "lbfgs", "canvas": "fourier"},
    "sliced-wasserstein": {"statistic": "sliced-wasserstein"},
}


@pytest.fixture(autouse=True)
def few_projections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorting takes most of the time of these small paintings."""
    monkeypatch.setattr(statistics, "PROJECTIONS", 8)


def last(steps: Iterator[Step]) -> Step:
    (step,) = deque(steps, maxlen=1)
    assert step.done == step.steps
    return step


def painted(job: Job) -> Tensor:
    return last(painting_steps(job)).picture()


def same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one == other).all())


@pytest.mark.parametrize("way", WAYS)
def test_resuming_gives_the_same_picture_bit_for_bit(
    way: str, make_job: MakeJob, tmp_path: Path
) -> None:
    """Within and between the scales (8 and 6 steps), by way of a file."""
    job = make_job(**WAYS[way])
    states: list[State] = []
    for step in painting_steps(job):
        states.append(step.state())
    whole, history = step.picture(), list(step.history)
    assert {state.scale for state in states} == {0, 1}
    path = tmp_path / "a.checkpoint"
    chosen = [state for state in states if state.total in (1, 3, 5, 8, 9, 13)]
    assert len(chosen) >= 2
    for state in chosen:
        save_checkpoint(Checkpoint({"seed": 0}, state), path)
        loaded = load_checkpoint(path)
        assert loaded is not None and loaded.state.total == state.total
        # Other random numbers, drawn in between, must not matter.
        torch.rand(3)
        step = last(painting_steps(job, loaded.state))
        assert same(step.picture(), whole), f"resumed after {state.total} steps"
        assert list(step.history) == history


@pytest.mark.parametrize("way", ["adam", "lbfgs"])
def test_a_state_can_be_resumed_from_twice(way: str, make_job: MakeJob) -> None:
    job = make_job(**WAYS[way])
    steps = painting_steps(job)
    state = [next(steps) for _ in range(2)][-1].state()
    pictures = []
    for _ in range(2):
        pictures.append(last(painting_steps(job, state)).picture())
    assert same(*pictures)


def test_a_state_is_not_kept_beside_the_painting_that_goes_on_from_it(
    make_job: MakeJob,
) -> None:
    job = make_job()
    state = next(painting_steps(job)).state()
    kept = weakref.ref(state)
    steps = painting_steps(job, state)
    del state
    next(steps)
    assert kept() is None


@pytest.mark.parametrize("way", WAYS)
def test_loss_falls(way: str, make_job: MakeJob) -> None:
    job = make_job(**(WAYS[way] | {"init": "grey"}), steps=40, min_size=80)
    losses = [step.loss for step in painting_steps(job)]
    assert losses[-1] < 0.3 * losses[0]


def test_lbfgs_takes_back_what_led_upwards(make_job: MakeJob) -> None:
    """From a flat spectrum its first steps go far too far; the picture must not follow."""
    job = make_job(optimizer="lbfgs", canvas="fourier", init="grey", min_size=80, steps=30)
    losses = [step.loss for step in painting_steps(job)]
    assert max(losses) < 1.1 * losses[0]


@pytest.mark.parametrize("way", ["adam", "lbfgs"])
@pytest.mark.parametrize("steps", [1, 2, 7, 13])
def test_steps_are_the_total_over_all_scales(way: str, steps: int, make_job: MakeJob) -> None:
    seen = list(painting_steps(make_job(**WAYS[way], steps=steps)))
    assert [step.done for step in seen][-1] == steps
    assert all(step.steps == steps for step in seen)
    assert seen[-1].picture().shape == (1, 3, 67, 80)


def test_lbfgs_steps_are_evaluations_of_the_network(
    make_job: MakeJob, make_network: Callable[..., Any]
) -> None:
    network = make_network(Counting)
    list(painting_steps(make_job(network, optimizer="lbfgs", steps=13)))
    assert network.calls_with_gradient == 13


class Counting(QuickBrush):
    """Counts the passes that a gradient is computed for."""

    calls_with_gradient = 0

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        self.calls_with_gradient += x.requires_grad
        return super().walk(x, wanted)


class Breaking(Counting):
    """Gives infinities from some pass on."""

    good_calls = 0

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        for name, value in super().walk(x, wanted):
            broken = self.calls_with_gradient > self.good_calls and x.requires_grad
            yield name, value / 0 if broken else value


def test_same_seed_same_bytes_another_seed_others(make_job: MakeJob) -> None:
    for settings in ({"init": "noise"}, {"statistic": "sliced-wasserstein"}, {}):
        first = painted(make_job(**settings))
        torch.rand(5)
        assert same(painted(make_job(**settings)), first)
        assert not same(painted(make_job(**settings, seed=1)), first)


@pytest.mark.parametrize("way", ["adam", "lbfgs"])
@pytest.mark.parametrize("good", [3, 8])
def test_infinite_loss_stops_with_the_last_good_picture(
    way: str, good: int, make_job: MakeJob, make_network: Callable[..., Any]
) -> None:
    """In the middle of a scale, and (8 of 14 steps belong to the first) at the start of one."""
    network = make_network(Breaking)
    network.good_calls = good
    pictures = []
    with pytest.raises(PaintingError, match="style/stem.*--learning-rate") as caught:
        for step in painting_steps(make_job(network, **WAYS[way])):
            pictures.append(step.picture())
    assert "step" in str(caught.value)
    if pictures:
        assert same(caught.value.picture, pictures[-1])
    else:
        assert caught.value.picture is None


def test_infinite_gradient_is_caught_too(
    make_job: MakeJob, make_network: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network(QuickBrush)
    job = make_job(network)
    steps = painting_steps(job)
    good = next(steps).picture()
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: [g * torch.nan for g in grad(*a)])
    with pytest.raises(PaintingError, match="its gradient") as caught:
        next(steps)
    assert same(caught.value.picture, good)


def test_unknown_tap_is_suggested_and_logits_are_refused(make_job: MakeJob) -> None:
    with pytest.raises(InputError, match="did you mean 'stage1.block1'"):
        make_job(style_taps="stage1.blok1")


def test_several_styles_are_weighed(make_job: MakeJob, make_picture: Callable[..., Tensor]) -> None:
    first, second = make_picture(2, 40, 44), make_picture(9, 36, 50)
    alone = painted(make_job(styles=[first]))
    other = painted(make_job(styles=[second]))
    both = [first, second]
    assert same(painted(make_job(styles=both, style_weights=(1, 0))), alone)
    assert same(painted(make_job(styles=both, style_weights=(0, 5))), other)
    even = painted(make_job(styles=both))
    assert same(painted(make_job(styles=both, style_weights=(3, 3))), even)

    def apart(one: Tensor, two: Tensor) -> float:
        return float((one - two).square().mean())

    assert apart(even, alone) < apart(alone, other) and apart(even, other) < apart(alone, other)
    leaning = painted(make_job(styles=both, style_weights=(3, 1)))
    assert apart(leaning, alone) < apart(even, alone)
    with pytest.raises(InputError, match="3 --style-weights for 2 styles"):
        make_job(styles=both, style_weights=(1, 1, 1))


def test_begins_with_the_picture_it_is_given(
    make_job: MakeJob, make_picture: Callable[..., Tensor]
) -> None:
    start = make_picture(7, 30, 36)
    job = make_job(start=start, learning_rate=1e-6, steps=1)
    begun = painted(job)
    reference = torch.nn.functional.interpolate(
        start, (67, 80), mode="bicubic", antialias=True
    ).clamp(0, 1)
    torch.testing.assert_close(begun, reference, rtol=0, atol=1e-4)


def test_steps_become_smaller_within_a_scale_where_asked(make_job: MakeJob) -> None:
    """Two scales of six steps: the last of each moves the picture less than its first."""

    def moves(schedule: str) -> list[float]:
        job = make_job(schedule=schedule, average=0, min_size=80, steps=12)
        pictures = [step.picture() for step in painting_steps(job)]
        return [
            float((after - before).abs().mean())
            for before, after in zip(pictures, pictures[1:], strict=False)
        ]

    falling, level = moves("cosine"), moves("constant")
    assert falling[0] > 0.9 * level[0]
    assert falling[-1] < 0.3 * level[-1]


def test_picture_of_a_step_is_not_changed_by_the_next(make_job: MakeJob) -> None:
    steps = painting_steps(make_job())
    step: Step = next(steps)
    picture = step.picture()
    kept = picture.clone()
    next(steps)
    assert same(picture, kept)


def test_a_step_that_leads_nowhere_is_not_kept(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optimiser itself may overflow, after the last loss that was seen."""
    steps = painting_steps(make_job(steps=2, min_size=80))
    good = next(steps).picture()

    def broken(canvas: PixelCanvas) -> None:
        with torch.no_grad():
            canvas.pixels[0, 0, 0, 0] = torch.nan

    monkeypatch.setattr(PixelCanvas, "constrain", broken)
    with pytest.raises(PaintingError) as caught:
        next(steps)
    assert same(caught.value.picture, good)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_losses_hold_across_sizes(
    statistic: str, make_job: MakeJob, make_picture: Callable[..., Tensor]
) -> None:
    """One set of weights serves every size: each part is nearly the same at twice the size."""
    parts = []
    for size in (96, 192):
        start = make_picture(5, 36, 44)
        job = make_job(start=start, size=size, min_size=size, statistic=statistic, steps=1)
        parts.append(next(painting_steps(job)).losses)
    assert len(parts[0]) == 5
    for name, value in parts[0].items():
        assert 0.5 < parts[1][name] / value < 2, name


def test_a_pixels_gradient_does_not_fall_with_the_size(make_job: MakeJob) -> None:
    """Optimisers have absolute thresholds, which a large picture would fall below."""
    norms = []
    for size in (64, 256):
        painter_job = make_job(size=size, min_size=size, init="noise", steps=1)
        scale = painter_job.scales()[0]
        noise = torch.rand(1, 3, scale.height, scale.width, generator=torch.Generator())
        painter = ScalePainter(painter_job, scale, noise, torch.Generator())
        painter.advance()
        gradient = painter.canvas.parameters[0].grad
        assert gradient is not None
        norms.append(float(gradient.square().mean().sqrt()))
    assert 0.25 < norms[1] / norms[0] < 4
