"""Training classifiers: exact resumption, recipes, curves, and what is refused."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bitbrush.errors import BitbrushError, InputError
from bitbrush.networks.cifar10_binarynet import Cifar10BinaryNet
from bitbrush.train import classifier, stopwatch
from bitbrush.train.classifier import (
    Score,
    Training,
    as_images,
    digest,
    moved,
    score,
    size_begun_with,
)
from bitbrush.train.curves import plot_curve, write_curve
from bitbrush.train.labelled import Labelled
from bitbrush.train.recipes import BETTER, LARQ, SCRATCH, ClassifierRecipe, recipe_of


@pytest.fixture(autouse=True)
def points_of_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "LEAST_STEPS", 1)


RECIPE = replace(BETTER, epochs=3, batch=8, warm_up=0.2, points=2)


def pictures(count: int = 44, seed: int = 0) -> Labelled:
    """Two classes that a glance tells apart: bright and dark."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 128, (count, 32, 32, 3)) + 127 * labels[:, None, None, None]
    return Labelled(pixels.astype(np.uint8), labels, ("dark", "bright"))


def training(
    checkpoint: Path | None = None,
    recipe: ClassifierRecipe = RECIPE,
    one_bit: bool = True,
    hours: float | None = None,
    packed: bool = False,
) -> Training:
    torch.manual_seed(recipe.seed)
    network = Cifar10BinaryNet(1 / 16, classes=2, one_bit=one_bit)
    limits = {"checkpoint": checkpoint, "hours": hours, "packed": packed}
    return Training(network, pictures(), pictures(10, seed=1), recipe, **limits)


@pytest.mark.parametrize(("stop", "packed"), [(4, False), (5, False), (7, False), (7, True)])
def test_a_stopped_training_goes_on_bit_for_bit(tmp_path: Path, stop: int, packed: bool) -> None:
    whole = training(packed=packed)
    list(whole.run())
    path = tmp_path / "checkpoint.pth"
    first = training(path, packed=packed)
    for _ in first.run():
        if first.steps == stop:
            first.save()
            break
    second = training(path, packed=packed)
    assert second.steps == stop
    list(second.run())
    for (name, ours), theirs in zip(
        whole.network.state_dict().items(), second.network.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    assert [replace(p, seconds=0) for p in whole.points] == [
        replace(p, seconds=0) for p in second.points
    ]
    done = training(path, packed=packed)
    assert done.finished and not list(done.run())
    with pytest.raises(InputError, match="another engine"):
        training(path, packed=not packed)


@pytest.mark.parametrize("is_due", [True, False])
def test_a_killed_training_goes_on_from_what_was_saved_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_due: bool
) -> None:
    path = tmp_path / "checkpoint.pth"
    killed = training(path)
    monkeypatch.setattr(killed._saving, "is_due", lambda: is_due)
    for _ in killed.run():
        if killed.steps == 8:
            break
    assert training(path).steps == 8 * is_due


def test_the_end_is_saved_when_nothing_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pth"
    run = training(path)
    monkeypatch.setattr(run._saving, "is_due", lambda: False)
    list(run.run())
    assert training(path).finished


@pytest.mark.parametrize(
    ("least", "steps"),
    [(1, [2, 5, 7, 10, 12, 15]), (3, [5, 10, 15]), (6, [10, 15]), (50, [15])],
)
def test_points_are_apart(monkeypatch: pytest.MonkeyPatch, least: int, steps: list[int]) -> None:
    monkeypatch.setattr(classifier, "LEAST_STEPS", least)
    run = training(one_bit=False)
    assert [point.step for point in run.run() if point is not None] == steps


def test_the_size_that_a_training_began_with(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    assert size_begun_with(path) is None
    training(path).save()
    assert size_begun_with(path) == 32
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no checkpoint"):
        size_begun_with(path)


def test_less_time_than_was_used_ends_with_a_point(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    stopped = training(path)
    next(stopped.run())
    stopped.save()
    run = training(path, hours=1e-9)
    assert run.finished and [point and point.step for point in run.run()] == [1]


def test_bfloat16_trains_too() -> None:
    torch.manual_seed(0)
    network = Cifar10BinaryNet(1 / 16, classes=2)
    run = Training(network, pictures(), None, replace(RECIPE, epochs=1), autocast=True)
    list(run.run())
    assert run.points[-1].held_out is None
    assert all(value.dtype == torch.float32 for value in network.parameters())


def test_it_learns_and_clips_and_counts_flips() -> None:
    run = training(recipe=replace(RECIPE, epochs=8))
    list(run.run())
    last = run.points[-1]
    assert last.step == 40 and last.epoch == 8
    assert last.accuracy > 0.9 and last.loss < run.points[0].loss
    assert score(run.network, pictures(30, seed=2)).pictures == 30
    flips = [point.flip_ratio for point in run.points if point.flip_ratio is not None]
    assert flips and 0 < max(flips) < 0.5
    weights = classifier.one_bit_weights(run.network)
    assert max(float(weight.detach().abs().max()) for weight in weights) <= 1


def test_the_float_twin_trains_at_its_own_rate() -> None:
    run = training(one_bit=False)
    list(run.run())
    assert run.rate == RECIPE.float_rate
    assert all(point.flip_ratio is None for point in run.points)


def test_larqs_recipe() -> None:
    assert (LARQ.epochs, LARQ.batch, LARQ.learning_rate) == (100, 50, 1e-2)
    assert not LARQ.flip and LARQ.shift == 0 and LARQ.smoothing == 0
    assert LARQ.factor(0, 0) == 1
    assert LARQ.factor(10_000, 0.1) == pytest.approx(0.5)  # 1 / (1 + 1e-4 x 10,000)
    run = training(recipe=replace(LARQ, epochs=1, batch=8))
    assert {m.momentum for m in run.network.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {
        1e-3
    }


def test_the_cosine_ends_at_zero_after_its_warm_up() -> None:
    assert BETTER.factor(0, 0) == 0
    assert BETTER.factor(9, BETTER.warm_up / 2) == pytest.approx(0.5, abs=1e-3)
    assert BETTER.factor(999, 0.5) == pytest.approx(0.5)
    assert BETTER.factor(10_000, 1) == 0
    assert BETTER.norm_momentum == 0.1


@pytest.mark.parametrize("stopped", [0, 3600])
def test_time_ends_a_training_and_its_schedule(
    monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    # The process may be stopped within the third step, which changes nothing.
    clock = iter([*range(7), *range(7 + stopped, 100 + stopped)])
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: float(next(clock)))
    run = training(recipe=replace(RECIPE, epochs=None), hours=10 / 3600)
    list(run.run())
    # A second for each step and each point: after the second, fifth and seventh step.
    assert run.steps == 7 and run.points[-1].step == 7
    assert run.points[-1].learning_rate == pytest.approx(
        RECIPE.learning_rate * RECIPE.factor(6, 0.8)
    )


def test_a_limit_far_away_changes_nothing() -> None:
    limited, free = training(hours=100.0), training()
    for run in (limited, free):
        list(run.run())
    assert torch.equal(limited.network.dense[0].weight, free.network.dense[0].weight)  # type: ignore[arg-type]


def test_pictures_move_by_whole_pixels_and_mirror() -> None:
    random = np.random.default_rng(0)
    row = np.arange(8, dtype=np.uint8)
    picture = np.broadcast_to(row[None, :, None], (8, 8, 3))
    batch = np.stack([picture] * 64)
    assert np.array_equal(moved(batch, 0, False, random), batch)
    mirrored = moved(batch, 0, True, random)[:, 0, :, 0].tolist()
    assert {tuple(r) for r in mirrored} == {tuple(row.tolist()), tuple(row[::-1].tolist())}
    starts = {tuple(r) for r in moved(batch, 2, False, random)[:, 0, :, 0].tolist()}
    assert (2, 1, 0, 1, 2, 3, 4, 5) in starts and (2, 3, 4, 5, 6, 7, 6, 5) in starts
    assert len(starts) == 5


def test_images_are_between_zero_and_one() -> None:
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[1] = 255
    images = as_images(pixels, 8)
    assert images.shape == (2, 3, 8, 8)
    assert images[0].max() == 0 and images[1].min() == 1


def test_wilsons_interval() -> None:
    # Newcombe 1998, table I: 81 of 263.
    low, high = Score(81, 263).interval()
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert Score(0, 10).interval()[0] == 0 and Score(10, 10).interval()[1] == pytest.approx(1)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    training(path).save()
    with pytest.raises(InputError, match="another recipe"):
        training(path, replace(RECIPE, learning_rate=1.0))
    with pytest.raises(InputError, match="another network"):
        training(path, one_bit=False)
    with pytest.raises(InputError, match="another number of pictures"):
        Training(Cifar10BinaryNet(1 / 16, classes=2), pictures(43), None, RECIPE, checkpoint=path)
    reordered = pictures().taken(np.arange(44)[::-1])
    for others in (reordered, pictures(seed=2)):
        with pytest.raises(InputError, match="another set of pictures"):
            Training(Cifar10BinaryNet(1 / 16, classes=2), others, None, RECIPE, checkpoint=path)
    assert training(path, replace(RECIPE, epochs=9)).recipe.epochs == 9
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no checkpoint"):
        training(path)


def test_an_older_checkpoint_that_does_not_tell_its_pictures_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    first = training(path)
    next(first.run())
    first.save()
    state = torch.load(path, weights_only=True)
    assert state["training"].pop("set of pictures") == digest(pictures())
    torch.save(state, path)
    second = training(path)
    assert second.steps == 1
    second.save()
    assert torch.load(path, weights_only=True)["training"]["set of pictures"] == digest(pictures())


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "checkpoint.pth"
    run = training(path)
    run.save()
    monkeypatch.setattr("bitbrush.atomic.os.fsync", full)
    # The first save is due at once, so that it is told early.
    with pytest.raises(InputError, match="cannot write .*: No space left"):
        next(run.run())
    assert list(tmp_path.iterdir()) == [path]
    assert training(path).steps == 0


def test_what_cannot_be_trained() -> None:
    with pytest.raises(InputError, match="less than a batch"):
        training(recipe=replace(RECIPE, batch=45))
    with pytest.raises(InputError, match="--hours or --epochs"):
        training(recipe=SCRATCH)
    with pytest.raises(InputError, match="positive"):
        training(hours=0.0)
    with pytest.raises(InputError, match="did you mean 'larq'"):
        recipe_of("lark")
    with pytest.raises(InputError, match="one epoch"):
        recipe_of("larq", 0)
    with pytest.raises(InputError, match="32x32"):
        Training(Cifar10BinaryNet(1 / 16), pictures(), None, RECIPE, size=48)


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    run = training()
    with torch.no_grad():
        run.network.dense_norms[-1].bias.fill_(torch.nan)  # type: ignore[union-attr]
    with pytest.raises(BitbrushError, match="step 0: the loss is nan"):
        next(run.run())


def test_curves_are_written_and_plotted(tmp_path: Path) -> None:
    for one_bit in (True, False):
        run = training(one_bit=one_bit)
        list(run.run())
        write_curve(run.points, tmp_path / "curve.jsonl")
        lines = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [2, 5, 7, 10, 12, 15]
        pytest.importorskip("matplotlib")
        plot_curve(run.points, "a title", tmp_path / "curve.png")
        assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
