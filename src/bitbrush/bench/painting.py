"""A whole painting, in a process of its own (see `workers`): seconds and highest memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..process_memory import peak_resident
from ..style.paint import Session
from ..style.settings import make_settings
from .machine import OthersBusy, describe
from .timing import Advance, Ratio
from .workers import run_worker, serve

PACKED, FLOAT, VGG19 = "packed", "float", "vgg19"
RIVALS = (FLOAT, VGG19)
"""What packed bits can be compared with."""

STYLE = "brushstrokes"


def demo_photograph() -> Any:
    """The photograph of the demo, uint8 [400, 600, 3].

    Raises:
        InputError: scikit-image, which holds it, is not installed.
    """
    try:
        import skimage.data
    except ImportError:
        raise InputError(
            "the demo's photograph is part of scikit-image, which is not installed; name a CONTENT"
        ) from None
    return skimage.data.coffee()


def bench_paint(
    content: Path | None,
    style: str,
    settings: Mapping[str, Any],
    rivals: Sequence[str],
    advance: Advance,
) -> dict[str, Any]:
    """Paints with packed bits and with each rival, one after the other; JSON-ready.

    Args:
        content: a picture file; None for the demo's photograph.
        settings: of `PaintSettings`: network, size, and steps where not the usual ones.
        rivals: of `RIVALS`.
    """
    busy = OthersBusy()
    names = [PACKED, *rivals]
    threads = torch.get_num_threads()
    cases = []
    for index, name in enumerate(names):

        def report(share: float, note: str, index: int = index) -> None:
            advance((index + share) / len(names), note)

        request = {
            "content": None if content is None else str(content),
            "style": style,
            "settings": {**settings, **_settings_of(name), "threads": threads},
        }
        cases.append(run_worker("bitbrush.bench.painting", request, report))
    first, *others = cases
    ratios = [
        Ratio(
            f"a painting with {first['engine']}", f"with {other['engine']}", quantity, value, None
        )
        for other in others
        for quantity, value in (
            ("time", other["seconds"] / first["seconds"]),
            ("memory", other["peak"] / first["peak"]),
        )
    ]
    return {
        "content": "demo photograph" if content is None else content.name,
        "style": Path(style).name,
        "settings": dict(settings),
        "machine": describe(),
        "others_busy": busy.share(),
        "cases": cases,
        "ratios": [ratio.as_json() for ratio in ratios],
    }


def _settings_of(name: str) -> dict[str, str]:
    if name == VGG19:
        return {"network": "vgg19", "engine": "float", "weights": "none"}
    return {"engine": name}


def measure(request: dict[str, Any], advance: Advance) -> dict[str, Any]:
    """One painting in this process, without writing it to a file.

    Time begins once pictures and network are read, as in what `bitbrush paint` prints.
    """
    content = request["content"]
    source = demo_photograph() if content is None else Path(content)
    session = Session(source, [request["style"]], make_settings(request["settings"]))
    network = session.job.network
    label = f"{network.name} packed, {network.precision}"
    if network.engine == "float":
        label = f"{network.name} float engine"
    started = time.perf_counter()
    steps = 0
    width = height = 0
    for step in session.steps():
        steps = step.done
        advance(step.done / step.steps, f"{label}: step {step.done} of {step.steps}")
        if step.done >= step.steps:
            height, width = session.painting(step).image.shape[-2:]
    seconds = time.perf_counter() - started
    return {
        "engine": label,
        "seconds": seconds,
        "peak": peak_resident(),
        "steps": steps,
        "width": width,
        "height": height,
        "weights": session.weights.origin,
    }


if __name__ == "__main__":
    serve(measure)
