"""The settings that a search may choose from, and the deliberately bad ones it begins with.

Those of the optimiser are not among them: a search that could choose them ended at the smallest
learning rate, with settings that were poor on other pairs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ...networks.registry import network_spec
from ...style.settings import ESTIMATORS
from . import Request, taps_of

if TYPE_CHECKING:
    from optuna.trial import Trial

SETS = ("shallow", "deep", "spread", "all")
"""Of style taps: the first two thirds, the last two, about five of all, all."""

CONTENT = 2 / 3
"""Share of the taps, from the first on, that may keep the content. The last ones did so worst, by a
tenth of style distance at equal content, when each was tried alone."""

LEAST_STEPS = 1 / 2
"""Share of the steps that a proposal takes at least."""


def bad_start(network: str) -> dict[str, Any]:
    """Proposal 0: far too much content and smoothness, no colour, few steps, shallow taps."""
    start = {
        "content_weight": 10.0,
        "tv_weight": 10.0,
        "colour_weight": 0.01,
        "content_tap": 0,
        "depth": -1.0,
        "style_taps": "shallow",
        "steps": LEAST_STEPS,
    }
    if network_spec(network).kind != "float":
        start["estimator"] = "identity"
    return start


def propose(trial: Trial, request: Request) -> dict[str, Any]:
    """Settings of a proposal. The style's weight stays 1: only the ratios of weights count."""
    (by,) = request.networks.values()
    network, taps = by.network, taps_of(by.network)
    style = _set(taps, trial.suggest_categorical("style_taps", SETS))
    slope = trial.suggest_float("depth", -1.0, 1.0)
    share = trial.suggest_float("steps", LEAST_STEPS, 1.0)
    # Its number, not its name: neighbours in depth are alike, which a model of the search can use.
    place = trial.suggest_int("content_tap", 0, max(round(len(taps) * CONTENT), 1) - 1)
    settings: dict[str, Any] = {
        "content_weight": trial.suggest_float("content_weight", 0.01, 10.0, log=True),
        "tv_weight": trial.suggest_float("tv_weight", 1e-4, 10.0, log=True),
        "colour_weight": trial.suggest_float("colour_weight", 0.01, 5.0, log=True),
        "content_taps": taps[place],
        "style_taps": ",".join(
            f"{tap}:{math.exp(slope * (2 * place / max(len(style) - 1, 1) - 1)):.4g}"
            for place, tap in enumerate(style)
        ),
    }
    if network_spec(network).kind != "float":
        settings["estimator"] = trial.suggest_categorical(
            "estimator", [name for name in ESTIMATORS if name != "ede"]
        )
    steps = {**settings, "steps": max(round(request.steps * share), 1)}
    return {name: rounded(value) for name, value in steps.items()}


def _set(taps: list[str], name: str) -> list[str]:
    third = max(len(taps) // 3, 1)
    return {
        "shallow": taps[: 2 * third],
        "deep": taps[third:],
        "spread": taps[:: max(len(taps) // 5, 1)],
        "all": taps,
    }[name]


def rounded(value: Any) -> Any:
    """What a command line says in a few digits is what is painted."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
