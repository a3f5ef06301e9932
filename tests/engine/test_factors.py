"""What is kept of an activation gives the estimator's factor back."""

from __future__ import annotations

import pytest
import torch

from bitbrush.engine.factors import factor_of
from bitbrush.engine.launch import pack_map
from bitbrush.engine.packing import PackedMap
from bitbrush.engine.sizes import BITS, BYTES, EVERYWHERE, REALS, TABLE
from bitbrush.quantizers import ESTIMATORS, Estimator

SMOOTH = ("approx", "swish", "ede")
TABLES = ("swish", "ede")


def test_each_estimator_is_kept_as_small_as_can_be() -> None:
    modes = {name: factor_of(Estimator(name), exact=False).mode for name in ESTIMATORS}
    assert modes == {"identity": EVERYWHERE, "ste": BITS} | dict.fromkeys(SMOOTH, BYTES)
    exact = {name: factor_of(Estimator(name), exact=True).mode for name in ESTIMATORS}
    assert exact == {"identity": EVERYWHERE, "ste": BITS} | dict.fromkeys(SMOOTH, REALS)


@pytest.mark.parametrize("width", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("name", TABLES)
def test_a_byte_is_off_by_half_a_level_and_a_table_s_entry(name: str, width: float) -> None:
    estimator = Estimator(name, width)
    kind = factor_of(estimator, exact=False)
    assert kind.table is not None
    x = torch.linspace(-8 * width, 8 * width, 20_001, dtype=torch.float64)
    entry = (x / kind.window + TABLE // 2).long().clamp(0, TABLE - 1)
    found = kind.unit * kind.table[entry].double() + kind.zero
    wanted = estimator.factor(x)
    steepest = float((wanted[1:] - wanted[:-1]).abs().max() / (x[1] - x[0]))
    # Beyond the table's reach the factor is taken to be that of its last entry.
    bound = kind.unit / 2 + steepest * kind.window + kind.unit / 2
    assert float((found - wanted).abs().max()) <= bound


@pytest.mark.parametrize("name", TABLES)
def test_no_gradient_where_there_is_none(name: str) -> None:
    """Most activations of a wide map lie far out; a small wrong factor of each would add up."""
    kind = factor_of(Estimator(name), exact=False)
    assert kind.table is not None
    for end in (0, -1):
        assert abs(kind.unit * float(kind.table[end]) + kind.zero) < 1e-6


@pytest.mark.parametrize("channels", [64, 75, 128])
@pytest.mark.parametrize("width", [0.3, 1.0, 2.5])
def test_a_tent_is_off_by_half_a_level(channels: int, width: float) -> None:
    """The bytes that a kernel writes for a whole block, and for one that is cut short."""
    estimator = Estimator("approx", width)
    kind = factor_of(estimator, exact=False)
    assert kind.mode == BYTES and kind.table is None and kind.zero == 0
    x = width * torch.linspace(-3, 3, 40 * channels).view(1, 5, 8, channels).permute(0, 3, 1, 2)
    x[0, 3, 2, 1], x[0, 4, 2, 1], x[0, 5, 2, 1] = torch.inf, -torch.inf, torch.nan
    factors = kind.room(40, channels)
    assert factors is not None
    pack_map(x, PackedMap.empty(tuple(x.shape)), kind, factors)
    found = kind.unit * factors.view(1, 5, 8, channels).permute(0, 3, 1, 2)
    wanted = estimator.factor(x.nan_to_num(nan=9.0, posinf=9.0, neginf=-9.0))
    assert float((found - wanted).abs().max()) <= 0.5001 * kind.unit
    assert float(found[wanted == 0].abs().max()) == 0


def test_memory() -> None:
    ste, approx = factor_of(Estimator("ste"), False), factor_of(Estimator("approx"), False)
    exact = factor_of(Estimator("approx"), True)
    sizes = [
        room.nbytes for kind in (ste, approx, exact) if (room := kind.room(10, 65)) is not None
    ]
    assert sizes == [10 * 16, 10 * 65, 10 * 65 * 4]
    assert factor_of(Estimator("identity"), False).room(10, 65) is None
