"""Steps and forward passes of whole networks: this engine, floats, VGG-19, and others' engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from ..engine.precision import best_precision, has_half_units
from ..errors import InputError
from ..networks.registry import network_spec
from .machine import OthersBusy, describe, peaks
from .memory import measure_apart
from .parts import can_be_parted, least_work, part_rows, profiled
from .peers import Peer
from .step import VGG19, Engine, make_step
from .timing import Advance, Contestant, Ratio, Times, interleaved, looped, steady

SUBJECT, SIZE, MEMORY_SIZE, THREADS = "quicknet-v1", 512, 1024, 2
"""What the targets are set for."""

FORWARD_SIZE = 224
"""Side in pixels of the pictures that classifiers are compared on."""

LIMIT = 600e6
"""Bytes that a whole packed process is to stay below."""

PROFILED = 5
TRIALS = 2


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        network: with one-bit layers.
        size: side in pixels of the picture of a step.
        repetitions: of each contestant.
        memory_size: side in pixels of the picture that memory is measured with.
        sizes: heights and widths that the packed engine's growth is measured at.
    """

    network: str = SUBJECT
    size: int = SIZE
    repetitions: int = 20
    memory_size: int = MEMORY_SIZE
    sizes: Sequence[tuple[int, int]] = ()

    def target(self, value: float) -> float | None:
        """A target of time, where it is set for what is measured."""
        usual = (self.network, self.size, torch.get_num_threads())
        return value if usual == (SUBJECT, SIZE, THREADS) else None

    def memory_target(self, value: float) -> float | None:
        """The same of memory."""
        usual = (self.network, self.memory_size)
        return value if usual == (SUBJECT, MEMORY_SIZE) else None

    @property
    def engines(self) -> list[Engine]:
        """Of the network: packed with the best precision first, then with others, then float."""
        precisions = dict.fromkeys([best_precision(), "float32", "low-bit"])
        packed = [Engine(self.network, "packed", precision) for precision in precisions]
        return [*packed, Engine(self.network, "float")]


class Stages:
    """Progress over parts of unlike length.

    Args:
        advance: told of the whole.
        shares: about how long each part takes, in any unit.
    """

    def __init__(self, advance: Advance, shares: Mapping[str, float]) -> None:
        self._advance = advance
        self._shares = shares
        self._done = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[Advance]:
        """The next part, in which the yielded function is told of the part alone."""
        share, total = self._shares[name], sum(self._shares.values())

        def advance(done: float, note: str) -> None:
            self._advance((self._done + done * share) / total, f"{name}: {note}")

        advance(0.0, "")
        yield advance
        advance(1.0, "done")
        self._done += share


def bench_step(plan: Plan, advance: Advance, peer: Peer | None = None) -> dict[str, Any]:
    """Times, memory and parts of a step, all in one run; JSON-ready.

    Raises:
        InputError: the network has no one-bit layers, or the peer cannot run.
    """
    if network_spec(plan.network).kind == "float":
        raise InputError(f"{plan.network} has no one-bit layers; there is nothing to compare")
    busy = OthersBusy([] if peer is None else [peer.pid])
    shares = {"step": 5.0 * plan.repetitions, "forward": 1.5 * plan.repetitions}
    shares |= {"memory": 60.0, "growth": 4.0 * len(plan.sizes), "parts": 10.0}
    stages = Stages(advance, shares)
    with stages.part("step") as report:
        # Without units for it, a step of VGG-19 in bf16 takes a minute and compares nothing.
        halves = (False, True) if has_half_units() else (False,)
        vggs = [_faster_layout(Engine(VGG19, "float", autocast=half), plan.size) for half in halves]
        engines = [*plan.engines, *vggs]
        times = _steps(engines, plan.size, plan.repetitions, report)
    with stages.part("forward") as report:
        forward = _forward(plan, peer, report)
    with stages.part("memory") as report:
        memory = _memory(engines, plan.memory_size, report)
        if peer is not None and plan.network == SUBJECT:
            memory.append(peer.step_memory(plan.memory_size, torch.get_num_threads()))
    with stages.part("growth") as report:
        growth = [
            measure_apart(engines[0], height, width, torch.get_num_threads(), _one_of(report, i, n))
            for n in (len(plan.sizes),)
            for i, (height, width) in enumerate(plan.sizes)
        ]
    with stages.part("parts") as report:
        parts = _parts(engines[0], plan.size)
    by_label = {case["engine"]: case for case in memory}
    whole = by_label[engines[0].label]["peak"]
    ratios = [*_step_ratios(plan, engines, times), *_forward_ratios(plan, forward)]
    ratios += _memory_ratios(plan, engines, by_label)
    return {
        "network": plan.network,
        "weights": "random",
        "size": plan.size,
        "repetitions": plan.repetitions,
        "machine": describe(),
        "others_busy": busy.share(),
        "peers": peer.versions if peer is not None else {},
        "layouts": {each.label: _layout(each) for each in vggs},
        "step": {engine.label: times[engine.label].as_json() for engine in engines},
        "forward": {name: each.as_json() for name, each in forward.items()},
        "forward_size": FORWARD_SIZE,
        "memory": memory,
        "growth": growth,
        "parts": parts,
        "ratios": [ratio.as_json() for ratio in ratios],
        "limits": [
            {
                "what": f"{engines[0].label}, the whole process at {plan.memory_size} px",
                "bytes": whole,
                "limit": plan.memory_target(LIMIT),
                "met": whole < LIMIT if plan.memory_target(LIMIT) else None,
            }
        ],
    }


def _layout(engine: Engine) -> str:
    return "channels_last" if engine.channels_last else "NCHW"


def _one_of(report: Advance, index: int, count: int) -> Advance:
    return lambda share, note: report((index + share) / count, note)


def _faster_layout(engine: Engine, size: int) -> Engine:
    """The engine with the memory layout that is faster on this machine, by a short trial."""
    choices = [dataclasses.replace(engine, channels_last=last) for last in (False, True)]
    works = {_layout(each): steady(make_step(each, each.load(), size, size)) for each in choices}
    times = interleaved(works, TRIALS, warmup=1)
    return min(choices, key=lambda each: times[_layout(each)].median)


def _steps(
    engines: Sequence[Engine], size: int, repetitions: int, advance: Advance
) -> dict[str, Times]:
    works = {
        engine.label: steady(make_step(engine, engine.load(), size, size)) for engine in engines
    }
    return interleaved(works, repetitions, advance)


def _forward(plan: Plan, peer: Peer | None, advance: Advance) -> dict[str, Times]:
    """Forward passes to the deepest tap, and steps, at the classifiers' size."""
    works: dict[str, Contestant] = {}
    for engine in (plan.engines[0], plan.engines[-1]):
        network = engine.load()
        deepest = list(network.taps)[-1]
        picture = torch.rand(1, 3, FORWARD_SIZE, FORWARD_SIZE)

        def forward(network: Any = network, picture: Any = picture, tap: str = deepest) -> object:
            with torch.no_grad():
                return network(picture, [tap])

        works[f"{engine.label}, forward"] = looped(forward)
        step = make_step(engine, network, FORWARD_SIZE, FORWARD_SIZE)
        works[f"{engine.label}, step"] = looped(step)
    # The peer knows this one network.
    if peer is not None and plan.network == SUBJECT:
        works |= peer.load("network", torch.get_num_threads(), size=FORWARD_SIZE)
    return interleaved(works, plan.repetitions, advance)


def _memory(engines: Sequence[Engine], size: int, advance: Advance) -> list[dict[str, Any]]:
    threads = torch.get_num_threads()
    return [
        measure_apart(engine, size, size, threads, _one_of(advance, index, len(engines)))
        for index, engine in enumerate(engines)
    ]


def _parts(engine: Engine, size: int) -> dict[str, Any] | None:
    network = engine.load()
    if not can_be_parted(network):
        return None
    measured = profiled(make_step(engine, network, size, size), PROFILED)
    limits = peaks()
    work = least_work(engine.network, size, network.precision, limits)  # type: ignore[arg-type]
    return {
        "engine": engine.label,
        "peaks": limits,
        "rows": part_rows(measured, work, limits["cache_bytes"] or float("nan")),
        "memory_bytes_seconds": sum(each.bytes for each in work.values())
        / (limits["memory_bytes"] or float("nan")),
    }


def _roles(engines: Sequence[Engine]) -> tuple[list[Engine], Engine, list[Engine]]:
    """The packed ones, the float one of the same network, and VGG-19's."""
    packed = [engine for engine in engines if engine.engine == "packed"]
    real, *vggs = engines[len(packed) :]
    return packed, real, vggs


def _step_ratios(plan: Plan, engines: Sequence[Engine], times: Mapping[str, Times]) -> list[Ratio]:
    packed, real, vggs = _roles(engines)
    vgg = vggs[0]
    pairs: list[tuple[Engine, Engine, float | None]] = [
        (packed[0], real, 7.0),
        (packed[0], vgg, 50.0),
        *((packed[0], vgg_half, 18.0) for vgg_half in vggs[1:]),
        (real, vgg, 7.0),
    ]
    pairs += [(each, vgg, 20.0 if each.precision == "float32" else None) for each in packed[1:]]
    return [
        Ratio(
            f"step of {one.label} at {plan.size} px",
            f"step of {other.label}",
            "time",
            times[other.label].median / times[one.label].median,
            None if target is None else plan.target(target),
        )
        for one, other, target in pairs
    ]


def _forward_ratios(plan: Plan, times: Mapping[str, Times]) -> list[Ratio]:
    at = f"at {FORWARD_SIZE} px"
    packed, real = plan.engines[0].label, plan.engines[-1].label
    pairs: list[tuple[str, str, float | None]] = [(f"{packed}, forward", f"{real}, forward", None)]
    lce = [name for name in times if name.startswith("LCE")]
    if lce:
        fastest = min(lce, key=lambda name: times[name].median)
        pairs.append((f"{packed}, forward", fastest, plan.target(25.0)))
        pairs.append((f"{packed}, forward", "TensorFlow, forward", None))
        pairs.append((f"{packed}, step", "TensorFlow, step", None))
    return [
        Ratio(f"{one} {at}", other, "time", times[other].median / times[one].median, target)
        for one, other, target in pairs
    ]


def _memory_ratios(
    plan: Plan, engines: Sequence[Engine], measured: Mapping[str, Mapping[str, Any]]
) -> list[Ratio]:
    packed, real, _ = _roles(engines)
    first = packed[0].label
    others = [name for name in measured if not any(e.label == name for e in packed)]
    return [
        Ratio(
            f"what steps of {first} at {plan.memory_size} px add to the process",
            f"steps of {other}",
            "memory",
            measured[other]["growth"] / measured[first]["growth"],
            plan.memory_target(8.0) if other == real.label else None,
        )
        for other in others
    ]
