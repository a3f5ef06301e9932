"""What is said of the machine."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from bitbrush.bench import machine
from bitbrush.bench.machine import OthersBusy, describe, peaks


def test_peaks_are_of_a_plausible_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "TRIES", 1)
    monkeypatch.setattr(machine, "_copy", lambda values: 1e9)
    found = peaks()
    assert found["clock"] is None or 0.5e9 < found["clock"] < 8e9
    # Eight words in three operations, of which four go at a time: no AVX-512 does more.
    assert 1e7 < found["popcount_words"] < 8e9 * 8 * 4 / 3 * describe()["threads"]
    assert found["float32_macs"] > 1e8
    halves = found["bf16_macs"]
    assert halves is None or halves > 1e7
    for units in ("int8_macs", "tile_macs", "sign_tile_macs"):
        macs = found[units]
        assert macs is None or macs > 1e8


def test_a_copy_counts_what_is_read_and_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_best", lambda work: 2.0)
    assert machine._copy(2**26) == 2 * 4 * 2**26 / 2.0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells who is busy")
def test_own_processes_are_not_others() -> None:
    spin = "import time\nt = time.time()\nwhile time.time() - t < 20: pass"
    with subprocess.Popen([sys.executable, "-c", spin]) as process:
        ours, others = OthersBusy([process.pid]), OthersBusy()
        time.sleep(1.0)
        shares = ours.share(), others.share()
        process.kill()
    assert 0 <= shares[0] < shares[1] <= 1


def test_elsewhere_nobody_is_said_to_be_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OthersBusy, "_now", lambda self: None)
    assert OthersBusy().share() is None
