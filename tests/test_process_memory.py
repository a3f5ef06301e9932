"""Memory as Linux counts it."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from bitbrush import process_memory
from bitbrush.errors import InputError
from bitbrush.process_memory import forget_peak, peak_resident, peak_since_start, resident

MANY = 2**26
SLACK = 2**20
"""What the kernel counts late."""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux only")
def test_the_peak_stays_when_memory_is_freed_and_can_be_forgotten() -> None:
    forget_peak()
    before = peak_resident()
    # Pages of its own: what a process has freed it may still hold, and have again for nothing.
    with mmap.mmap(-1, MANY) as block:
        for place in range(0, MANY, mmap.PAGESIZE):
            block[place] = 1
        held = resident()
    assert peak_resident() - before > 0.9 * MANY and peak_resident() >= held - SLACK
    forget_peak()
    assert peak_resident() - before < 0.5 * MANY


def test_elsewhere_it_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_memory, "_PROCESS", tmp_path / "nowhere")
    for ask in (resident, peak_resident, forget_peak):
        with pytest.raises(InputError, match="Linux"):
            ask()


@pytest.mark.skipif(sys.platform != "linux", reason="compares with what Linux counts")
def test_where_this_is_not_linux_the_system_still_tells_the_peak(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    least = resident()
    monkeypatch.setattr(process_memory, "_PROCESS", tmp_path)
    assert 0.5 * least < peak_since_start() < 1e12


def test_the_peak_is_not_that_of_the_program_that_started_this_one() -> None:
    held = bytearray(MANY)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    code = "from bitbrush.process_memory import peak_since_start as p; print(p())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.5 * len(held)
