"""Where time goes, from a profile; and what it would be at least."""

from __future__ import annotations

import pytest
import torch

from bitbrush.bench import parts
from bitbrush.bench.parts import Span, least_work, parts_of, profiled
from bitbrush.bench.step import Engine, make_step


def test_parts_are_told_apart_and_add_up() -> None:
    spans = [
        Span("step", 0, 100),
        Span(parts.CHAIN, 5, 15),
        Span(parts.CHAIN, 20, 25),
        Span("statistics", 30, 40),
        Span("backward", 40, 98),
        Span("_CovarianceBackward", 43, 45),
        Span(parts.CHAIN_BACK, 50, 60),
        Span("mkldnn::_convolution_pointwise", 51, 55),
        Span("mkldnn::_convolution_pointwise", 62, 63),
        Span(parts.CHAIN_BACK, 70, 80),
        Span("aten::conv2d", 70, 71),
    ]
    found = {part: 1e6 * seconds for part, seconds in parts_of(spans).items()}
    assert found == pytest.approx(
        {
            parts.FORWARD: 15,
            parts.GRADIENT: 5,
            parts.BACKWARD: 15,
            # 30 - 15 forward; backward 58, less 3 before, 2 of moments, 20 of stages.
            parts.FLOATS: 15 + 33,
            parts.STATISTICS: 10 + 3 + 2,
            parts.OTHER: 2,
        }
    )


@pytest.mark.parametrize("precision", ["float32", "bf16", "low-bit"])
def test_a_real_step_has_all_of_them(precision: str) -> None:
    engine = Engine("quicknet-v1-small", "packed", precision)
    network = engine.load()
    assert parts.can_be_parted(network)
    found = profiled(make_step(engine, network, 64, 64), 1)
    assert set(found) == set(parts.PARTS)
    assert all(found[part] > 0 for part in parts.PARTS if part not in (parts.GRADIENT, parts.OTHER))
    # Popcounts are no operation that torch knows of.
    assert (found[parts.GRADIENT] > 0) == (precision != "low-bit")


def test_the_least_work_of_quicknet() -> None:
    peaks = {"clock": 2e9, "cache_bytes": 1e10}
    work = least_work("quicknet-v1", 512, "low-bit", peaks)
    macs = 16 * 64 * 64 * 9 * 128 * 128
    cores = torch.get_num_threads()
    assert work[parts.FORWARD].seconds == pytest.approx(1.5 * macs / 512 / 2e9 / cores)
    assert work[parts.GRADIENT].seconds == pytest.approx(5 * work[parts.FORWARD].seconds)
    values = 4 * 128 * 128 * (64 + 32 + 16 + 8)
    assert work[parts.FORWARD].bytes == 8.5 * values
    rows = parts.part_rows(dict.fromkeys(parts.PARTS, 1.0), work, 1e10)
    assert rows[0]["bytes_seconds"] == 8.5 * values / 1e10
    assert rows[-1]["bytes"] is None


def test_without_a_clock_no_time_is_made_up() -> None:
    work = least_work("quickbrush", 64, "float32", {"clock": None, "cache_bytes": 1e10})
    rows = parts.part_rows(dict.fromkeys(parts.PARTS, 1.0), work, 1e10)
    assert [row["arithmetic_seconds"] for row in rows[:2]] == [None, None]
