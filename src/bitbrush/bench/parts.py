"""Where the time of a step goes, and what it would take if the machine did nothing in vain.

Parts are told apart by torch's profiler, for which a network that is one line of parts names what
it does. Measured parts include the profiler's own time, some microseconds for each operation.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from ..engine.line import LineNetwork
from ..engine.precision import LOW_BITS, Precision
from ..engine.profiling import FLOATS as FLOAT_LAYERS
from ..engine.profiling import GRADIENT as GRADIENT_CONVOLUTION
from ..engine.profiling import STAGE, STAGE_BACK
from ..engine.sizes import BLOCK
from ..engine.winograd import octet_results
from ..networks.registry import network_spec
from ..networks.summary import LayerSummary, summarise
from ..networks.taps import Network
from .step import spread_taps

TAP_LOSS_BACK = "_TapLossBackward"

FORWARD = "stages, forward"
GRADIENT = "stages, backward: gradient convolutions"
BACKWARD = "stages, backward: the rest"
FLOATS = "stem and transitions"
STATISTICS = "statistics"
OTHER = "all else"
PARTS = (FORWARD, GRADIENT, BACKWARD, FLOATS, STATISTICS, OTHER)


@dataclass(frozen=True)
class Span:
    """An event of the profiler: its name, and when it began and ended, in microseconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Work:
    """What a part cannot do without.

    Attributes:
        arithmetic: for people to read.
        seconds: of that, at the peak of the machine's arithmetic.
        bytes: read and written if every map is touched as seldom as can be.
    """

    arithmetic: str
    seconds: float
    bytes: float


def can_be_parted(network: Network) -> bool:
    """Whether a network names its parts for the profiler."""
    return isinstance(network, LineNetwork)


def profiled(step: Callable[[], object], repetitions: int) -> dict[str, float]:
    """Seconds of each of `PARTS` in a step (median)."""
    step()
    found = []
    for _ in range(repetitions):
        with (
            _silent(),
            profile(activities=[ProfilerActivity.CPU]) as record,
            record_function("step"),
        ):
            step()
        spans = [
            Span(event.name, event.time_range.start, event.time_range.end)
            for event in record.events() or ()
        ]
        found.append(parts_of(spans))
    return {part: median(each[part] for each in found) for part in PARTS}


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing reaches the standard error, where torch's profiler says that it starts and stops."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def parts_of(spans: Sequence[Span]) -> dict[str, float]:
    """Seconds of each of `PARTS` in the profile of one step.

    Args:
        spans: with one "step", and in it "statistics".
    """
    lengths: dict[str, float] = {}
    for span in spans:
        lengths[span.name] = lengths.get(span.name, 0.0) + span.end - span.start

    def taken(name: str) -> float:
        return lengths.get(name, 0.0)

    times = {
        FORWARD: taken(STAGE),
        GRADIENT: taken(GRADIENT_CONVOLUTION),
        BACKWARD: taken(STAGE_BACK) - taken(GRADIENT_CONVOLUTION),
        FLOATS: taken(FLOAT_LAYERS),
        STATISTICS: taken("statistics") + taken(TAP_LOSS_BACK),
    }
    times[OTHER] = taken("step") - sum(times.values())
    return {part: times[part] / 1e6 for part in PARTS}


def least_work(
    name: str, size: int, precision: Precision, peaks: Mapping[str, float | None]
) -> dict[str, Work]:
    """What each part of a step at size x size pixels takes at the machine's peak.

    Bytes of a value of a map: a block reads and writes it (8), its bits, the mask of its relu and
    the factor of its gradient are a bit each; on the way back the running gradient is read and
    written (8), and what goes into and comes out of a convolution is written and read. A tap is
    read twice and once more on the way back, where its gradient is written and read. A float layer
    writes its output and the next one reads it, forward and backward.

    Args:
        peaks: as `machine.peaks` gives them, of all threads.
    """
    with torch.device("meta"):
        network = network_spec(name).build()
    layers = [
        layer
        for layer in summarise(network, size).layers
        if layer.output is not None and len(layer.output) == 3
    ]
    binary = sum(layer.macs.get(1, 0) for layer in layers)
    real = sum(layer.macs.get(32, 0) for layer in layers)
    values, real_values, fewer = 0, 0, 0.0
    for layer in layers:
        count = _product(layer.output or ())
        if 1 in layer.macs:
            values += count
            fewer += layer.macs[1] * _winograd_share(layer, precision)
        elif layer.macs:
            real_values += count
    shapes = _tap_shapes(network, size)
    tapped = sum(map(_product, shapes))
    products = sum(2 * shape[0] * _product(shape) for shape in shapes)
    through = 2 if precision == "bf16" else 4
    # In one pass nothing lies in memory between the gradient that arrives and the sum.
    in_tiles = precision == "bf16" and peaks["tile_macs"] is not None
    between = 0 if in_tiles or precision in ("float32", "int8") else 2 * through
    return {
        FORWARD: _forward(binary, peaks, 8.5 * values),
        GRADIENT: _gradient(binary, fewer, precision, peaks, (between or 8.25) * values),
        BACKWARD: Work("masks and sums", 0.0, (8.25 + between if between else 0) * values),
        FLOATS: Work(
            f"{2 * real / 1e9:.1f} G float32 products, there and back",
            _over(2 * real, peaks["float32_macs"]),
            16.0 * real_values,
        ),
        STATISTICS: Work(
            f"{products / 1e9:.1f} G float32 products, there and back",
            _over(products, peaks["float32_macs"]),
            20.0 * tapped,
        ),
    }


def _forward(macs: int, peaks: Mapping[str, float | None], size: float) -> Work:
    text = f"{macs / 1e9:.1f} G one-bit products, "
    if peaks["sign_tile_macs"] is not None:
        return Work(f"{text}in tiles", _over(macs, peaks["sign_tile_macs"]), size)
    return Work(f"{text}popcounts", _over(macs / BLOCK, peaks["popcount_words"]), size)


def _winograd_share(layer: LayerSummary, precision: Precision) -> float:
    """Products of Winograd's way, for one of a 3x3 convolution's plain way."""
    filters = layer.output[0] if layer.output else 1
    channels = layer.weights[1] // (9 * filters)
    results = octet_results(channels, filters) if precision == "int8" else 2
    return (results + 2) ** 2 / (3 * results) ** 2


def _gradient(
    macs: int,
    fewer: float,
    precision: Precision,
    peaks: Mapping[str, float | None],
    size: float,
) -> Work:
    """Args:
    fewer: products of Winograd's way.
    """
    if precision == "low-bit":
        text = f"{LOW_BITS * macs / 1e9:.1f} G one-bit products, popcounts"
        return Work(text, _over(LOW_BITS * macs / BLOCK, peaks["popcount_words"]), size)
    if precision in ("float32", "int8"):
        text = f"{fewer / 1e9:.1f} G products in {precision}, Winograd's way"
        return Work(text, _over(fewer, peaks[f"{precision}_macs"]), size)
    in_tiles = peaks["tile_macs"] is not None
    text = f"{macs / 1e9:.1f} G products in {precision}{', in tiles' if in_tiles else ''}"
    return Work(text, _over(macs, peaks["tile_macs"] or peaks["bf16_macs"]), size)


def _over(work: float, speed: float | None) -> float:
    """Seconds; no number where the speed is not known."""
    return work / speed if speed else float("nan")


def _product(shape: Sequence[int]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product


def _tap_shapes(network: Network, size: int) -> list[tuple[int, ...]]:
    picture = torch.zeros(1, 3, size, size, device="meta")
    taps = spread_taps(network)
    return [tuple(value.shape[1:]) for value in network(picture, taps).values()]


def part_rows(
    measured: Mapping[str, float], work: Mapping[str, Work], bandwidth: float
) -> list[dict[str, Any]]:
    """JSON-ready: for each part what it took and what it would take at least.

    Args:
        bandwidth: bytes a second.
    """
    rows = []
    for part in PARTS:
        least = work.get(part)
        seconds = least.seconds if least is not None and least.seconds == least.seconds else None
        rows.append(
            {
                "part": part,
                "seconds": measured[part],
                "arithmetic": least.arithmetic if least is not None else None,
                "arithmetic_seconds": seconds,
                "bytes": least.bytes if least is not None else None,
                "bytes_seconds": least.bytes / bandwidth if least is not None else None,
            }
        )
    return rows
