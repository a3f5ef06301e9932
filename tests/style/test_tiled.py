"""The loss in tiles: the same as that of the whole, and so is its gradient."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
import torch
from torch import Tensor

from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.style import job as job_module
from bitbrush.style.job import Job
from bitbrush.style.loop import painting_steps
from bitbrush.style.objective import WholeObjective, make_objective
from bitbrush.style.statistics import channel_statistics
from bitbrush.style.tiled import Surface, TiledObjective, moments_in_tiles
from bitbrush.style.tiles import Tile, plan, spans
from bitbrush.style.views import View

MakeJob = Callable[..., Job]
DEEP = {
    "size": 150,
    "min_size": 150,
    "content_taps": "stem,stage2.block1",
    "style_taps": "stem,stage1.block1,stage2.block1",
}


class Smooth(QuickBrush):
    """Of two stages."""

    def __init__(self, **_: Any) -> None:
        super().__init__("quickbrush", 8, (64, 64), (1, 1))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is cut that can be."""
    monkeypatch.setattr(job_module, "SMALL", 0)
    monkeypatch.setattr(job_module, "WHOLE", 0)
    monkeypatch.setattr(job_module, "LARGEST_TILE", 6000)


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"statistic": "gram"},
        {"statistic": "mean", "size": 151, "min_size": 151},
        {"content_weight": 0, "content_taps": None},
        {"style_weight": 0, "style_taps": None, "colour_weight": 0, "tv_weight": 0},
        {"encode_scale": 1.5},
        {"noise": 0.1},
        {"noise": 0.1, "encode_scale": 1.5},
        {"encode_scale": 0.7, "size": 190, "min_size": 190},
        {"orientations": 1},
        {"orientations": 2},
    ],
)
def test_loss_and_gradient_are_those_of_the_whole(
    settings: dict[str, Any],
    make_job: MakeJob,
    make_network: Callable[..., Any],
    make_picture: Callable[..., Tensor],
) -> None:
    job = make_job(make_network(Smooth), **(DEEP | settings))
    scale = job.scales()[0]
    content = torch.nn.functional.interpolate(job.content, (scale.height, scale.width))
    tiled = make_objective(job, scale, content)
    assert isinstance(tiled, TiledObjective) and len(tiled.tiles) > 1
    terms = [[*tiled.image_terms, *each] for each in tiled.style_terms]
    weights, noise = tiled.content_weights, tiled.noise
    whole = WholeObjective(job.network, job.taps(), terms, content, weights, noise)
    image = make_picture(5, scale.height, scale.width) * 0.8 + 0.1
    image += 0.05 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    last = (job.settings.orientations or 1) - 1
    view = View(10, 9, 20, job.settings.encode_scale or 1.0, last)
    results = []
    for objective in (whole, tiled):
        objective.look(view)
        results.append(objective.gradient(image, torch.Generator().manual_seed(1)))
    (expected, expected_parts), (gradient, parts) = results
    assert parts == pytest.approx(expected_parts, rel=1e-4)
    assert len(parts) > 0
    # Convolutions of tiles round otherwise, and a value near 0 may get the other sign.
    assert gradient.shape == image.shape and relative(gradient, expected) < 1e-3
    # No seam either: nothing is far off anywhere.
    assert float((gradient - expected).abs().max()) < 1e-2 * float(expected.abs().max())


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("statistic", ["covariance", "gram"])
def test_styles_are_measured_in_tiles_too(
    statistic: str,
    make_job: MakeJob,
    make_network: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = make_job(make_network(Smooth), **DEEP, statistic=statistic)
    tiled = list(chain.from_iterable(job.style_terms(job.scales()[0])))
    monkeypatch.setattr(job_module, "SMALL", 1e9)
    whole = list(chain.from_iterable(job.style_terms(job.scales()[0])))
    targets = [
        (ours.target, theirs.target)  # type: ignore[attr-defined]
        for ours, theirs in zip(tiled, whole, strict=True)
        if ours.name.startswith("style")
    ]
    assert len(targets) == 3 * 4
    for ours, theirs in targets:
        assert relative(ours.second, theirs.second) < 1e-4
        assert float((ours.first - theirs.first).norm()) <= 1e-4 * float(theirs.first.norm())
        assert ours.scale == pytest.approx(theirs.scale, rel=1e-4)
        assert not torch.equal(ours.second, theirs.second), "sums of parts differ in their last bit"


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    "way", [{}, {"optimizer": "lbfgs"}, {"canvas": "fourier"}, {"orientations": 1}]
)
def test_paints_and_resumes_to_the_bit_in_tiles(
    way: dict[str, Any], make_job: MakeJob, make_network: Callable[..., Any]
) -> None:
    job = make_job(make_network(Smooth), **(DEEP | way), steps=8, init="noise")
    steps = []
    for step in painting_steps(job):
        steps.append((step.loss, step.state() if step.done <= 5 else None))
    assert step.history[-1] < step.history[0]
    state = steps[0][1]
    assert state is not None
    (again,) = deque(painting_steps(job, state), maxlen=1)
    assert bool((again.picture() == step.picture()).all())


@pytest.mark.usefixtures("small_tiles")
def test_what_cannot_be_cut_is_not(make_job: MakeJob, make_network: Callable[..., Any]) -> None:
    network = make_network(Smooth)
    assert make_job(network, **DEEP).tiles(150, 200)
    assert make_job(network, **DEEP, statistic="sliced-wasserstein").tiles(150, 200) is None
    network = make_network(Smooth)
    network.taps["stem"] = type(network.taps["stem"])(stride=1)  # its reach is not known
    assert make_job(network, **DEEP).tiles(150, 200) is None


def test_small_pictures_are_not_cut(make_job: MakeJob) -> None:
    assert make_job().tiles(600, 800) is None
    assert make_job().tiles(6000, 8000)


def test_surface_gives_what_the_view_does() -> None:
    image = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    for view in (View(10, 3, 21), View(4, 5, 9, 1.5)):
        seen = view(image)
        surface = Surface(image, view)
        for row in spans(seen.shape[2], 3, 4, 8):
            for column in spans(seen.shape[3], 2, 4, 8):
                part = surface.part(Tile(row, column))
                assert torch.equal(part, seen[..., row.seen(), column.seen()])


def test_moments_of_tiles_are_those_of_the_whole(make_network: Callable[..., Any]) -> None:
    network = make_network(Smooth)
    image = torch.rand(1, 3, 131, 150, generator=torch.Generator().manual_seed(0))
    view = View(3, 4, 7)
    taps = list(network.taps)
    tiles = plan(*view.size(131, 150), list(network.taps.values()), 1, 6000)
    assert len(tiles) > 3
    found = moments_in_tiles(network, Surface(image, view), taps, tiles)
    with torch.no_grad():
        features = network(view(image), taps)
    for tap in taps:
        whole = channel_statistics(features[tap])
        assert found[tap].count == whole.count
        assert relative(found[tap].mean, whole.mean) < 1e-5
        assert relative(found[tap].matrix, whole.matrix) < 1e-4
