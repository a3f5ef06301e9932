"""What suits each network exists in it."""

from __future__ import annotations

import pytest
import torch

from bitbrush.networks.registry import NETWORKS, network_spec
from bitbrush.style.defaults import DEFAULTS, resolved
from bitbrush.style.settings import PaintSettings, parse_taps


@pytest.mark.parametrize("name", NETWORKS)
def test_default_taps_are_maps_of_the_network(name: str) -> None:
    with torch.device("meta"):
        network = network_spec(name).build()
    defaults = DEFAULTS[name]
    for taps in (defaults.content_taps, defaults.style_taps):
        for tap in parse_taps(taps):
            assert network.taps[tap].stride > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_but_what_may_be_left_out_is_left_out(name: str) -> None:
    settings = resolved(PaintSettings(network=name))
    for field in (
        "content_taps",
        "style_taps",
        "encode_scale",
        "estimator",
        "roll",
        "orientations",
        "noise",
        "learning_rate",
        "average",
    ):
        assert getattr(settings, field) is not None


def test_a_network_seen_in_four_orientations_needs_small_shifts() -> None:
    assert resolved(PaintSettings()).roll == 4
    assert resolved(PaintSettings(network="vgg19")).roll == 16
    assert resolved(PaintSettings(roll=0)).roll == 0


def test_a_statistic_of_whole_maps_keeps_them_once() -> None:
    assert resolved(PaintSettings(statistic="sliced-wasserstein")).orientations == 1
    asked = PaintSettings(statistic="sliced-wasserstein", orientations=2)
    assert resolved(asked).orientations == 2


@pytest.mark.parametrize("nothing", [{}, {"content_weight": 0.0, "style_weight": 0.0}])
def test_how_large_steps_are_and_how_many_are_averaged(nothing: dict[str, float]) -> None:
    """By the network and the optimiser, for colours alone as well."""
    settings = resolved(PaintSettings(**nothing))  # type: ignore[arg-type]
    assert (settings.learning_rate, settings.average) == (0.045, 0.95)
    of_vgg = resolved(PaintSettings(network="vgg19-16x", canvas="fourier", **nothing))  # type: ignore[arg-type]
    assert (of_vgg.learning_rate, of_vgg.average) == (0.008, 0.99)
    asked = PaintSettings(optimizer="lbfgs", average=0.5, **nothing)  # type: ignore[arg-type]
    assert (resolved(asked).learning_rate, resolved(asked).average) == (1.0, 0.5)
