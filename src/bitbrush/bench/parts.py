"""Where the time of a step goes, and what it would take if the machine did nothing in vain.

Parts are told apart by torch's profiler: a stage of residual blocks is one function, forward and
backward, and what lies between two of them is a transition. Measured parts include the profiler's
own time, some microseconds for each operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from ..engine.chain import ResidualChain
from ..engine.modules import PackedStage
from ..engine.precision import LOW_BITS, Precision, cpu_features
from ..networks.registry import network_spec
from ..networks.summary import summarise
from ..networks.taps import Network
from .step import spread_taps

CHAIN = ResidualChain.__name__
CHAIN_BACK = f"{CHAIN}Backward"
CONVOLUTIONS = ("mkldnn::_convolution_pointwise", "aten::conv2d", "aten::convolution_backward")

POPCOUNT_CYCLES = 1.5
"""For 512 bits: exclusive or, count and sum are three operations, for two ports of a core."""

FLOAT32_MACS, BF16_MACS, AMX_MACS = 32, 64, 512
"""Multiply-adds a cycle of a core: two ports of 16 lanes; two values a lane; a tile of AMX takes
16 cycles for 16 x 16 sums of 32 products."""

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
    """Whether a packed network consists of stages of residual blocks, as is assumed here."""
    return any(isinstance(module, PackedStage) for module in network.modules())


def profiled(step: Callable[[], object], repetitions: int) -> dict[str, float]:
    """Seconds of each of `PARTS` in a step (median)."""
    step()
    found = []
    for _ in range(repetitions):
        with profile(activities=[ProfilerActivity.CPU]) as record, record_function("step"):
            step()
        spans = [
            Span(event.name, event.time_range.start, event.time_range.end)
            for event in record.events() or ()
        ]
        found.append(parts_of(spans))
    return {part: median(each[part] for each in found) for part in PARTS}


def parts_of(spans: Sequence[Span]) -> dict[str, float]:
    """Seconds of each of `PARTS` in the profile of one step.

    Args:
        spans: with one "step", and in it "statistics" and then "backward".
    """
    (whole,) = (span for span in spans if span.name == "step")
    (statistics,) = (span for span in spans if span.name == "statistics")
    (backward,) = (span for span in spans if span.name == "backward")
    forward = Span("forward", whole.start, statistics.start)
    chains = _inside([s for s in spans if s.name == CHAIN], forward)
    chains_back = _inside([s for s in spans if s.name == CHAIN_BACK], backward)
    convolutions = [
        span
        for span in spans
        if span.name in CONVOLUTIONS and any(_holds(chain, span) for chain in chains_back)
    ]
    moments_back = _inside([s for s in spans if s.name == "_CovarianceBackward"], backward)
    # Before the first of them the losses are differentiated.
    first = min((span.start for span in (*chains_back, *moments_back)), default=backward.end)
    before = first - backward.start
    inside_chains, gradient = _sum(chains_back), _sum(convolutions)
    times = {
        FORWARD: _sum(chains),
        GRADIENT: gradient,
        BACKWARD: inside_chains - gradient,
        FLOATS: _length(forward)
        - _sum(chains)
        + _length(backward)
        - before
        - inside_chains
        - _sum(moments_back),
        STATISTICS: _length(statistics) + before + _sum(moments_back),
    }
    times[OTHER] = _length(whole) - sum(times.values())
    return {part: times[part] / 1e6 for part in PARTS}


def _inside(spans: Iterable[Span], whole: Span) -> list[Span]:
    return [span for span in spans if _holds(whole, span)]


def _holds(whole: Span, span: Span) -> bool:
    return whole.start <= span.start and span.end <= whole.end


def _length(span: Span) -> float:
    return span.end - span.start


def _sum(spans: Iterable[Span]) -> float:
    return sum(map(_length, spans))


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
        peaks: as `machine.peaks` gives them, of all threads but for the clock.
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
    values, real_values = 0, 0
    for layer in layers:
        count = _product(layer.output or ())
        if 1 in layer.macs:
            values += count
        elif layer.macs:
            real_values += count
    shapes = _tap_shapes(network, size)
    tapped = sum(map(_product, shapes))
    products = sum(2 * shape[0] * _product(shape) for shape in shapes)
    cycles = (peaks["clock"] or 0.0) * torch.get_num_threads()
    counted = POPCOUNT_CYCLES * binary / 512
    through = 2 if precision == "bf16" else 4
    return {
        FORWARD: Work(
            f"{binary / 1e9:.1f} G one-bit products, popcounts",
            _over(counted, cycles),
            8.5 * values,
        ),
        GRADIENT: _gradient(binary, precision, cycles, 2 * through * values),
        BACKWARD: Work("masks and sums", 0.0, (8 + 2 * through + 0.25) * values),
        FLOATS: Work(
            f"{2 * real / 1e9:.1f} G float32 products, there and back",
            _over(2 * real / FLOAT32_MACS, cycles),
            16.0 * real_values,
        ),
        STATISTICS: Work(
            f"{products / 1e9:.1f} G float32 products, there and back",
            _over(products / FLOAT32_MACS, cycles),
            20.0 * tapped,
        ),
    }


def _gradient(macs: int, precision: Precision, cycles: float, size: float) -> Work:
    text = f"{macs / 1e9:.1f} G products in {precision}"
    if precision == "low-bit":
        return Work(text, _over(LOW_BITS * POPCOUNT_CYCLES * macs / 512, cycles), size)
    rate = FLOAT32_MACS
    if precision == "bf16":
        rate = AMX_MACS if "amx-bf16" in cpu_features() else BF16_MACS
    return Work(text, _over(macs / rate, cycles), size)


def _over(work: float, speed: float) -> float:
    """Seconds; no number where the clock is not known."""
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
