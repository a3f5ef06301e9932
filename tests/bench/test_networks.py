"""One run of everything about a step, small; ratios have the right way round."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bitbrush.bench import networks
from bitbrush.bench.networks import Plan, Stages, bench_step
from bitbrush.bench.step import Engine
from bitbrush.bench.tables import machine_line, step_tables
from bitbrush.bench.timing import Times
from bitbrush.errors import InputError

SMALL = "quicknet-v1-small"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in other processes, and no peaks, which take seconds."""

    def measure_apart(engine: Engine, height: int, width: int, *rest: Any) -> dict[str, Any]:
        growth = 8e6 if engine.engine == "packed" else 72e6
        found = {"engine": engine.label, "height": height, "width": width}
        return found | {"growth": growth, "peak": 5e8, "seconds": 1.0}

    names = "popcount_words int8_macs tile_macs sign_tile_macs bf16_macs float32_macs "
    speeds = dict.fromkeys(f"{names} memory_bytes cache_bytes".split(), 1e9)
    monkeypatch.setattr(networks, "measure_apart", measure_apart)
    monkeypatch.setattr(networks, "peaks", lambda: {"clock": 1e9, **speeds})
    monkeypatch.setattr(networks, "FORWARD_SIZE", 64)
    monkeypatch.setattr(networks, "TRIALS", 1)
    monkeypatch.setattr(networks, "PROFILED", 1)
    monkeypatch.setattr(networks, "has_half_units", lambda: True)


def test_a_run_has_all_sections_and_tables(quick: None) -> None:
    told: list[float] = []
    plan = Plan(SMALL, size=64, repetitions=1, memory_size=64, sizes=[(32, 64)])
    result = bench_step(plan, lambda share, note: told.append(share))
    labels = list(result["step"])
    assert labels[0].startswith(f"{SMALL} packed") and labels[-1] == "VGG-19 bf16 (autocast)"
    assert {"float32", "low-bit"} <= {label.rpartition(" ")[2] for label in labels}
    memory = [ratio for ratio in result["ratios"] if ratio["quantity"] == "memory"]
    assert {ratio["value"] for ratio in memory} == {9.0}
    # Targets are those of another network and size.
    assert {ratio["target"] for ratio in result["ratios"]} == {None}
    assert told == sorted(told) and told[-1] == pytest.approx(1.0)
    text = "\n".join(table.markdown() for table in step_tables(result))
    for words in ("One step at 64×64 px", "64×32", "stages, forward", "takes less than"):
        assert words in text
    assert result["weights"] == "random" and "torch" in machine_line(result)


def test_ratios_and_targets_of_the_usual_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: networks.THREADS)
    monkeypatch.setattr(networks, "best_precision", lambda: "bf16")
    plan = Plan()
    vggs = [Engine("vgg19", "float"), Engine("vgg19", "float", autocast=True)]
    engines = [*plan.engines, *vggs]
    seconds = dict(zip([e.label for e in engines], (1.0, 2.0, 3.0, 7.0, 50.0, 17.0), strict=True))
    times = {label: Times((value,)) for label, value in seconds.items()}
    ratios = networks._step_ratios(plan, engines, times)
    found = [(ratio.value, ratio.target) for ratio in ratios]
    assert found == [(7, 7), (50, 50), (17, 18), (50 / 7, 7), (25, 20), (50 / 3, None)]
    assert all(ratio.what != ratio.against for ratio in ratios)
    without = networks._step_ratios(plan, engines[:-1], times)
    assert without == [ratio for ratio in ratios if "bf16 (auto" not in ratio.against]
    steps = {f"{engines[0].label}, forward": 1.0, f"{engines[3].label}, forward": 4.0}
    steps |= {f"{engines[0].label}, step": 2.0, "LCE, 1 thread": 26.0, "LCE, 2 threads": 24.0}
    steps |= {"TensorFlow, forward": 9.0, "TensorFlow, step": 12.0}
    forward = networks._forward_ratios(plan, {k: Times((v,)) for k, v in steps.items()})
    assert [ratio.value for ratio in forward] == [4, 24, 9, 6]
    assert (forward[1].against, forward[1].target) == ("LCE, 2 threads", 25)


def test_a_network_without_one_bit_layers_is_refused() -> None:
    with pytest.raises(InputError, match="no one-bit layers"):
        bench_step(Plan("vgg19"), lambda share, note: None)


def test_progress_goes_by_the_length_of_the_parts() -> None:
    told = []
    stages = Stages(lambda share, note: told.append(share), {"a": 1.0, "b": 3.0})
    with stages.part("a") as report:
        report(0.5, "")
    with stages.part("b") as report:
        report(0.5, "")
    assert told == [0, 0.125, 0.25, 0.25, 0.625, 1.0]
