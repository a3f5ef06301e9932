"""Where time goes, from a profile; and what it would be at least."""

from __future__ import annotations

import pytest

from bitbrush.bench import parts
from bitbrush.bench.parts import Span, least_work, parts_of, profiled
from bitbrush.bench.step import Engine, make_step
from bitbrush.engine import profiling
from bitbrush.engine import winograd as ways


def test_parts_are_told_apart_and_add_up() -> None:
    spans = [
        Span("step", 0, 100),
        Span(profiling.FLOATS, 1, 4),
        Span(profiling.STAGE, 5, 15),
        Span(profiling.STAGE, 20, 25),
        Span("statistics", 30, 40),
        Span("backward", 40, 98),
        Span(parts.TAP_LOSS_BACK, 43, 45),
        Span(profiling.STAGE_BACK, 50, 60),
        Span(profiling.GRADIENT, 51, 55),
        Span(profiling.FLOATS, 62, 63),
        Span(profiling.STAGE_BACK, 70, 80),
        Span(profiling.GRADIENT, 70, 71),
        Span("aten::add", 81, 82),
    ]
    found = {part: 1e6 * seconds for part, seconds in parts_of(spans).items()}
    expected = {
        parts.FORWARD: 15,
        parts.GRADIENT: 5,
        parts.BACKWARD: 15,
        parts.FLOATS: 3 + 1,
        parts.STATISTICS: 10 + 2,
    }
    expected[parts.OTHER] = 100 - sum(expected.values())
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("precision", ["float32", "bf16", "int8", "low-bit"])
def test_a_real_step_has_all_of_them(precision: str) -> None:
    engine = Engine("quicknet-v1-small", "packed", precision)
    network = engine.load()
    assert parts.can_be_parted(network)
    found = profiled(make_step(engine, network, 64, 64), 1)
    assert set(found) == set(parts.PARTS)
    assert all(found[part] > 0 for part in parts.PARTS)


def test_the_least_work_of_quicknet(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks: dict[str, float | None] = {"popcount_words": 4e10, "int8_macs": 3e11}
    peaks |= {"float32_macs": 1e11, "bf16_macs": 2e11, "tile_macs": None, "sign_tile_macs": None}
    work = least_work("quicknet-v1", 512, "low-bit", peaks)
    macs = 16 * 64 * 64 * 9 * 128 * 128
    assert work[parts.FORWARD].seconds == pytest.approx(macs / 64 / 4e10)
    assert work[parts.GRADIENT].seconds == pytest.approx(5 * work[parts.FORWARD].seconds)
    values = 4 * 128 * 128 * (64 + 32 + 16 + 8)
    assert work[parts.FORWARD].bytes == 8.5 * values
    winograd = least_work("quicknet-v1", 512, "float32", peaks)[parts.GRADIENT]
    assert winograd.seconds == pytest.approx(macs * 16 / 36 / 1e11)
    for units, share in (
        (["avx2"], 16 / 36),
        (["avx512vnni", "avx2"], (3 * 25 / 81 + 16 / 36) / 4),
    ):
        monkeypatch.setattr(ways, "octet_units", lambda _, units=units: units)
        winograd = least_work("quicknet-v1", 512, "int8", peaks)[parts.GRADIENT]
        assert winograd.seconds == pytest.approx(macs * share / 3e11)
    whole = least_work("quicknet-v1", 512, "bf16", peaks)
    tiled = least_work("quicknet-v1", 512, "bf16", peaks | {"tile_macs": 1e12})
    assert whole[parts.GRADIENT].seconds == pytest.approx(macs / 2e11)
    assert tiled[parts.GRADIENT].seconds == pytest.approx(macs / 1e12)
    assert whole[parts.BACKWARD].bytes == 12.25 * values and tiled[parts.BACKWARD].bytes == 0
    signs = least_work("quicknet-v1", 512, "bf16", peaks | {"sign_tile_macs": 4e12})
    assert signs[parts.FORWARD].seconds == pytest.approx(macs / 4e12)
    rows = parts.part_rows(dict.fromkeys(parts.PARTS, 1.0), work, 1e10)
    assert rows[0]["bytes_seconds"] == 8.5 * values / 1e10
    assert rows[-1]["bytes"] is None


def test_without_a_unit_no_time_is_made_up() -> None:
    peaks = {"popcount_words": 4e10, "float32_macs": 1e11}
    peaks |= dict.fromkeys(("int8_macs", "tile_macs", "sign_tile_macs"))
    work = least_work("quickbrush", 64, "int8", peaks)
    rows = parts.part_rows(dict.fromkeys(parts.PARTS, 1.0), work, 1e10)
    assert rows[0]["arithmetic_seconds"] > 0 and rows[1]["arithmetic_seconds"] is None
