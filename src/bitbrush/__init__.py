"""bitbrush: neural style transfer painted by binarized neural networks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .lab.evaluate import Evaluation as Evaluation
    from .lab.evaluate import evaluate as evaluate
    from .presets.paint import paint_preset as paint_preset
    from .style.paint import Painting as Painting
    from .style.paint import paint as paint
    from .weights.loading import load_network as load_network

__version__ = "0.1.0"

_HOMES = {
    "paint": "style.paint",
    "paint_preset": "presets.paint",
    "Painting": "style.paint",
    "load_network": "weights.loading",
    "evaluate": "lab.evaluate",
    "Evaluation": "lab.evaluate",
}
"""Where each public name lives. They are imported on first use, since torch takes a second."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
