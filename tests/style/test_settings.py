"""Settings: ranges, types, combinations; and every one of them does something."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.style.defaults import DEFAULTS, resolved
from bitbrush.style.job import Job
from bitbrush.style.loop import painting_steps
from bitbrush.style.settings import PaintSettings, make_settings, parse_taps

OTHERWISE: dict[str, Any] = {
    "size": 72,
    "style_size": 160,
    "style_weights": (1, 3),
    "content_weight": 0.5,
    "style_weight": 0.3,
    "colour_weight": 2,
    "tv_weight": 0.5,
    "content_taps": "stage1.block1",
    "style_taps": "stem,stage1.block1:4",
    "statistic": "gram",
    "steps": 13,
    "min_size": 80,
    "optimizer": "lbfgs",
    "learning_rate": 0.01,
    "schedule": "cosine",
    "average": 0.5,
    "init": "grey",
    "canvas": "fourier",
    "estimator": "swish",
    "estimator_width": 3,
    "encode_scale": 1.5,
    "roll": 9,
    "orientations": 1,
    "noise": 0.1,
    "blur_gradient": False,
    "step_window": 1,
    "preserve_colours": "statistics",
    "seed": 1,
}
ELSEWHERE = {"network", "weights", "pooling", "engine", "precision", "device", "threads"}
"""Settings that act outside of the loop; test_paint_library.py has them."""


def painted(job: Job) -> Tensor:
    (step,) = deque(painting_steps(job), maxlen=1)
    return step.picture()


@pytest.fixture(scope="module")
def plain(
    make_job: Callable[..., Job], make_picture: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    styles = [make_picture(2, 40, 44), make_picture(3, 44, 40)]
    return lambda **settings: painted(make_job(styles=styles, **settings))


@pytest.fixture(scope="module")
def usual(plain: Callable[..., Tensor]) -> Tensor:
    return plain()


def test_every_setting_is_tested() -> None:
    names = {field.name for field in dataclasses.fields(PaintSettings)}
    assert set(OTHERWISE) | ELSEWHERE == names and not set(OTHERWISE) & ELSEWHERE


@pytest.mark.parametrize("name", OTHERWISE)
def test_every_setting_changes_the_painting(
    name: str, plain: Callable[..., Tensor], usual: Tensor
) -> None:
    changed = plain(**{name: OTHERWISE[name]})
    if changed.shape == usual.shape:
        assert float((changed - usual).abs().max()) > 1e-3
    else:
        assert name == "size" and changed.shape[-1] == 72


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"style_weight": -1}, "--style-weight must be a number of at least 0, not -1"),
        ({"tv_weight": math.nan}, "--tv-weight"),
        ({"colour_weight": math.inf}, "--colour-weight"),
        ({"style_weights": (1, -1)}, "--style-weights"),
        ({"style_weights": (0, 0)}, "--style-weights are all 0"),
        ({"style_weights": 1}, "--style-weights cannot be 1"),
        ({"size": 0}, "--size must be between 1 and 16384"),
        ({"size": 20000}, "--size"),
        ({"size": 100.5}, "--size cannot be 100.5"),
        ({"size": math.inf}, "--size cannot be inf"),
        ({"size": None}, "--size needs a value"),
        ({"steps": 0}, "--steps"),
        ({"average": 1}, "--average"),
        ({"learning_rate": 0}, "--learning-rate"),
        ({"encode_scale": 100}, "--encode-scale"),
        ({"estimator_width": 0}, "--estimator-width"),
        ({"seed": -1}, "--seed"),
        ({"threads": 0}, "--threads"),
        ({"roll": -1}, "--roll"),
        ({"orientations": 3}, "--orientations must be 1, 2 or 4, not 3"),
        ({"noise": -0.1}, "--noise must be at least 0 and at most 1"),
        ({"step_window": 4}, "--step-window must be an odd number, not 4"),
        ({"step_window": -1}, "--step-window must be between 1 and 63 pixels"),
        ({"step_window": 3, "optimizer": "lbfgs"}, "--step-window has no meaning with --optimizer"),
        ({"step_window": 3, "canvas": "fourier"}, "or --canvas fourier"),
        ({"blur_gradient": "no"}, "--blur-gradient cannot be 'no'"),
        ({"statistic": "covarience"}, "did you mean 'covariance'"),
        ({"canvas": "pixel"}, "did you mean 'pixels'"),
        ({"optimizer": "adma"}, "did you mean 'adam'"),
        ({"schedule": "cosine", "optimizer": "lbfgs"}, "--schedule cosine has no meaning with"),
        ({"styl_weight": 1}, "unknown setting 'styl_weight'; did you mean 'style_weight'"),
        ({"network": "quickbrsh"}, "did you mean 'quickbrush'"),
        ({"style_taps": "stem:0"}, "positive weights"),
        ({"style_taps": "stem,stem"}, "positive weights"),
        ({"style_taps": {"stem": None}}, "positive weights"),
        ({"style_taps": []}, "positive weights"),
        ({"style_weight": 0, "content_weight": 0, "colour_weight": 0}, "are all 0"),
        ({"style_weight": 0, "style_taps": "stem"}, "--style-taps has no meaning"),
        ({"content_weight": 0, "content_taps": "stem"}, "--content-taps has no meaning"),
        ({"style_weight": 0, "statistic": "gram"}, "--statistic gram has no meaning"),
        ({"estimator": "identity", "estimator_width": 2}, "has no --estimator-width"),
        ({"network": "vgg19", "estimator": "approx"}, "--estimator has no meaning for vgg19"),
        ({"network": "vgg16", "estimator_width": 2}, "--estimator-width has no meaning for vgg16"),
        (
            {"style_weight": 0, "content_weight": 0, "encode_scale": 2},
            "--encode-scale has no meaning",
        ),
        ({"style_weight": 0, "content_weight": 0, "roll": 2}, "--roll has no meaning"),
        (
            {"style_weight": 0, "colour_weight": 0, "tv_weight": 0, "style_size": 99},
            "--style-size has no meaning",
        ),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        resolved(make_settings(values))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_plain_values_become_settings() -> None:
    settings = make_settings(
        {"style_taps": {"stem": 0.12345678, "stage1.block1": 2}, "content_taps": ["stem", "a"]}
    )
    assert settings.style_taps is not None
    assert parse_taps(settings.style_taps) == {"stem": 0.12345678, "stage1.block1": 2}
    assert settings.content_taps == "stem,a"
    assert make_settings({"size": 256.0, "style_weights": [1, 2]}).style_weights == (1.0, 2.0)


@pytest.mark.parametrize("network", DEFAULTS)
def test_defaults_are_complete_and_stay(network: str) -> None:
    full = resolved(PaintSettings(network=network))
    left_open = {
        field.name for field in dataclasses.fields(full) if getattr(full, field.name) is None
    }
    assert left_open <= {"estimator_width", "pooling", "threads"}
    assert resolved(full) == full


@pytest.mark.parametrize(
    "off", [("style_weight",), ("content_weight",), ("style_weight", "content_weight")]
)
def test_terms_may_be_left_out(off: tuple[str, ...]) -> None:
    full = resolved(make_settings(dict.fromkeys(off, 0.0)))
    assert resolved(full) == full
    assert (full.style_taps is None) == ("style_weight" in off)
    assert (full.content_taps is None) == ("content_weight" in off)


def test_colour_alone_is_painted_without_the_network(make_picture: Callable[..., Tensor]) -> None:
    settings = resolved(
        make_settings({"style_weight": 0, "content_weight": 0, "size": 48, "steps": 30})
    )
    from bitbrush.networks.quickbrush import QuickBrush

    style = make_picture(2, 40, 44)
    result = painted(Job(make_picture(1, 40, 48), [style], QuickBrush().settle(), settings))
    before = (make_picture(1, 40, 48).mean((2, 3)) - style.mean((2, 3))).abs().max()
    after = (result.mean((2, 3)) - style.mean((2, 3))).abs().max()
    assert float(after) < 0.5 * float(before)
    assert bool(torch.isfinite(result).all())


def test_every_seed_of_the_range_is_one() -> None:
    for seed in (2**53 + 1, 2**63 - 1):
        assert make_settings({"seed": seed}).seed == make_settings({"seed": str(seed)}).seed == seed
    with pytest.raises(InputError, match="--seed cannot be 1.5"):
        make_settings({"seed": 1.5})


def test_weights_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(InputError, match="too large to add up"):
        make_settings({"style_weights": (1e308, 1e308)})
    with pytest.raises(InputError, match="too large to add up"):
        make_settings({"style_taps": "stem:1e308,stage1.block1:1e308"})
