"""The machine that was measured on: its name, its peaks, and who else was using it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..engine.sizes import BLOCK, LANES, LINE, POSITIONS_AT_ONCE, TILE
from .timing import Times, timed

CHAIN = 20_000_000
"""Links of the chain that the clock is measured by."""

CYCLES_A_LINK = 4
"""Of a multiplication (3) and an exclusive or (1) of 64-bit integers that wait for
one another, on every x86 core of the last ten years."""

TILE_CELLS = 9
"""Tiles of weights that the loops in tiles go through: the cells of a 3x3 kernel."""

TRIES = 9
"""Peaks are the best of so many tries."""


def describe() -> dict[str, Any]:
    """CPU, cores, threads and versions."""
    import numba

    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": numba.__version__,
    }


def cpu_name() -> str:
    """As the CPU calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


class OthersBusy:
    """What share of the machine's cores others have used since this was made.

    Threads that wait for each other lose far more time than that share to a neighbour.

    Args:
        ours: processes that were started for the measurement and still run.
    """

    def __init__(self, ours: Sequence[int] = ()) -> None:
        self._ours = ours
        self._before = self._now()

    def share(self) -> float | None:
        """0..1 of all cores; None where Linux does not tell."""
        before, now = self._before, self._now()
        if before is None or now is None:
            return None
        whole, busy, own = (late - early for late, early in zip(now, before, strict=True))
        return min(max((busy - own) / whole, 0.0), 1.0) if whole else None

    def _now(self) -> tuple[float, float, float] | None:
        """Clock ticks: all of them, busy ones, and ours."""
        try:
            line = Path("/proc/stat").read_text().splitlines()[0]
            children = sum(map(_ticks, self._ours))
        except OSError:
            return None
        ticks = [float(field) for field in line.split()[1:9]]
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        # The fourth and fifth count idle time.
        return (
            sum(ticks),
            sum(ticks) - ticks[3] - ticks[4],
            (own * os.sysconf("SC_CLK_TCK") + children),
        )


def _ticks(process: int) -> int:
    """Of a process's user and system time (fields 14 and 15, counted behind its name)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def peaks() -> dict[str, float | None]:
    """What the machine can do at most, by small programs that do nothing else.

    Returns:
        clock in Hz of one core (None where it cannot be measured), words of 64 bits a second that
        the convolution's innermost loop takes with everything in the first cache, multiply-adds a
        second of the innermost loops in 8-bit integers, in tiles of bfloat16 and in tiles of signs
        and of a large matrix product in bfloat16 (None where the CPU has no unit for them) and
        float32, bytes a second that a copy reads and writes in memory and in a map of a few MB.
    """
    from ..engine.precision import has_half_units

    return {
        "clock": _clock(),
        "popcount_words": _popcount_words() * torch.get_num_threads(),
        "int8_macs": _octet_macs(),
        "tile_macs": _tile_macs(),
        "sign_tile_macs": _sign_tile_macs(),
        "bf16_macs": _product(torch.bfloat16) if has_half_units() else None,
        "float32_macs": _product(torch.float32),
        "memory_bytes": _copy(2**28),
        "cache_bytes": _copy(2**21),
    }


def _best(work: Callable[[], object]) -> float:
    once = timed(work)
    once()
    return min(Times(tuple(once() for _ in range(TRIES))).seconds)


def _clock() -> float | None:
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    import numba
    import numpy as np

    @numba.njit
    def chain(links: Any) -> Any:
        value = np.uint64(12345)
        for _ in range(links):
            # No compiler can make one operation of two such links, as it can with sums.
            value = (value * np.uint64(6364136223846793005)) ^ np.uint64(0x5DEECE66D)
        return value

    return CYCLES_A_LINK * CHAIN / _best(lambda: chain(CHAIN))


def _popcount_words() -> float:
    """Of one core."""
    import numba
    import numpy as np

    from ..engine.native import counting

    rows, run, rounds = 3, 12, 20_000
    weights = np.arange(rows * run * BLOCK, dtype=np.int32)
    pixels = np.arange(TILE * rows * run, dtype=np.int32)
    sums = np.zeros((TILE, BLOCK), np.int32)

    @numba.njit
    def count(rounds: Any, sums: Any, pixels: Any, weights: Any) -> None:
        for _ in range(rounds):
            counting.differing_bits(
                sums, pixels, pixels + 48, pixels + 96, pixels + 144, rows, 48, run, weights
            )

    addresses = (sums.ctypes.data, pixels.ctypes.data, weights.ctypes.data)
    seconds = _best(lambda: count(rounds, *addresses))
    return rounds * TILE * BLOCK * rows * run / 2 / seconds


def _octet_macs() -> float | None:
    """Of all cores."""
    import numba
    import numpy as np

    from ..engine.native import winograd_simd
    from ..engine.precision import cpu_features, octet_units

    if not octet_units(cpu_features()):
        return None
    room, rounds = 64, 100_000
    octets = np.ones((TILE, room), np.uint8)
    weights = np.ones((room, BLOCK), np.int8)
    base, sums = np.zeros(BLOCK, np.int32), np.zeros((TILE, BLOCK), np.int32)

    @numba.njit
    def multiply(rounds: Any, sums: Any, octets: Any, weights: Any, base: Any) -> None:
        for _ in range(rounds):
            winograd_simd.multiply_octets(sums, octets, room, weights, base)

    addresses = [array.ctypes.data for array in (sums, octets, weights, base)]
    seconds = _best(lambda: multiply(rounds, *addresses))
    return rounds * TILE * BLOCK * room / seconds * torch.get_num_threads()


def _tile_macs() -> float | None:
    """Of all cores, in tiles of bfloat16."""
    from ..engine.native import amx_simd
    from ..engine.precision import has_tiles

    if not has_tiles():
        return None
    counts = POSITIONS_AT_ONCE, LANES * TILE_CELLS
    rows, weights = (torch.randn(count, 2 * LANES).bfloat16() for count in counts)
    return _in_tiles(amx_simd.multiply_halves, rows, weights)


def _sign_tile_macs() -> float | None:
    """Of all cores, in tiles of 8-bit integers that are -1 or +1."""
    from ..engine.native import amx_simd
    from ..engine.precision import has_sign_tiles

    if not has_sign_tiles():
        return None
    counts = POSITIONS_AT_ONCE, LANES * TILE_CELLS
    rows, weights = (
        torch.randint(0, 2, (count, BLOCK)).mul(2).sub(1).to(torch.int8) for count in counts
    )
    return _in_tiles(amx_simd.multiply_octets, rows, weights)


def _in_tiles(multiply: Any, rows: Tensor, weights: Tensor) -> float:
    """Multiply-adds a second; the numbers are no zeros, which need less power, and so less time."""
    import numba

    from ..engine.native import amx, amx_simd

    rounds, at_once = 20_000, len(rows)
    # torch's memory begins at a cache line: tiles that lie across two take three times as long.
    sums = torch.zeros(at_once, BLOCK, dtype=torch.int32)
    offsets, shapes = torch.zeros(TILE_CELLS, dtype=torch.int64), torch.zeros(2, LINE).byte()
    cells, row = TILE_CELLS, LINE

    @numba.njit
    def repeat(rounds: Any, sums: Any, rows: Any, weights: Any, offsets: Any, shapes: Any) -> None:
        amx_simd.save_shapes(shapes)
        amx.set_whole_shapes(shapes + LINE)
        for _ in range(rounds):
            multiply(at_once, rows, row, offsets, cells, 1, weights, sums)
        amx_simd.set_shapes(shapes)

    addresses = [tensor.data_ptr() for tensor in (sums, rows, weights, offsets, shapes)]
    seconds = _best(lambda: repeat(rounds, *addresses))
    products = at_once * LANES * cells * rows.shape[1]
    return rounds * products / seconds * torch.get_num_threads()


def _product(dtype: torch.dtype, side: int = 2048) -> float:
    first, second = (torch.rand(side, side).to(dtype) for _ in range(2))
    return float(side**3 / _best(lambda: first @ second))


def _copy(values: int) -> float:
    source, target = torch.zeros(values), torch.zeros(values)
    # Short copies are repeated, so that starting the threads does not count.
    rounds = max(1, 2**26 // values)

    def copies() -> None:
        for _ in range(rounds):
            target.copy_(source)

    return rounds * 2 * 4 * values / _best(copies)


def pause(seconds: float = 0.02) -> None:
    """Lets threads that wait actively for more work fall asleep."""
    time.sleep(seconds)
