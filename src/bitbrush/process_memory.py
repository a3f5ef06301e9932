"""What memory this process has, as Linux counts it."""

from __future__ import annotations

import sys
from pathlib import Path

from .errors import InputError

_PROCESS = Path("/proc/self")


def resident() -> int:
    """Bytes of memory that this process has now.

    Raises:
        InputError: this is not Linux.
    """
    return _status("VmRSS")


def peak_resident() -> int:
    """The most bytes that it has had, since its start or the last `forget_peak`."""
    return _status("VmHWM")


def peak_since_start() -> int:
    """The most bytes that it has had, also where this is not Linux."""
    try:
        return peak_resident()
    except InputError:
        import resource

        # What Linux counts in KiB macOS does in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """From here on, the peak is counted anew."""
    try:
        (_PROCESS / "clear_refs").write_text("5")
    except OSError as error:
        raise InputError("memory can be measured on Linux only") from error


def _status(name: str) -> int:
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError as error:
        raise InputError("memory can be measured on Linux only") from error
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(value) * 1024
