"""Single convolutions are checked before they are timed."""

from __future__ import annotations

import pytest
import torch

from bitbrush.bench import kernels
from bitbrush.bench.kernels import PACK, PACKED, TORCH, TORCH_LAST, Shape, bench_kernels
from bitbrush.bench.timing import Times


def test_a_small_shape_is_timed_with_all_contestants_and_a_peer() -> None:
    result = bench_kernels(
        1, shapes=((64, 6), (128, 5)), peer=lambda shape: {"LCE, 1 thread": lambda: 2.0}
    )
    assert [case["macs"] for case in result["cases"]] == [64 * 64 * 9 * 36, 128 * 128 * 9 * 25]
    for case in result["cases"]:
        assert {PACK, PACKED, TORCH, TORCH_LAST, "gradient low-bit"} <= set(case["seconds"])
        assert case["seconds"]["LCE, 1 thread"]["median"] == 2.0
        assert case["ratio"] > case["ratio_with_packing"] > 0
    # No mean over shapes that are not the usual ones.
    assert [ratio["target"] for ratio in result["ratios"]] == [None, None]


def test_the_ratio_is_against_the_faster_layout() -> None:
    seconds = {PACK: 1.0, PACKED: 3.0, TORCH: 36.0, TORCH_LAST: 24.0}
    times = {name: Times((value,)) for name, value in seconds.items()}
    case = kernels._case(Shape(64, 10), times)
    assert case["ratio"] == 8 and case["ratio_with_packing"] == 6
    assert case["gmacs"][PACKED] == pytest.approx(64 * 64 * 9 * 100 / 3e9)


def test_wrong_sums_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "pack_map", lambda x, packed: packed.words.zero_())
    with torch.no_grad(), pytest.raises(AssertionError, match="wrong sums"):
        kernels.contestants(Shape(64, 6))
