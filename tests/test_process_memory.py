"""Memory as Linux counts it."""

from __future__ import annotations

import mmap
import sys

import pytest

from bitbrush import process_memory
from bitbrush.errors import InputError
from bitbrush.process_memory import forget_peak, peak_resident, resident

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


def test_elsewhere_it_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(process_memory, "_PROCESS", tmp_path / "nowhere")
    for ask in (resident, peak_resident, forget_peak):
        with pytest.raises(InputError, match="Linux"):
            ask()
