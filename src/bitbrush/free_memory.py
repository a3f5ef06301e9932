"""What memory is left for this process, by the machine and by its control groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")

_USED = {
    "memory.max": ("memory.current", "inactive_file"),
    "memory.limit_in_bytes": ("memory.usage_in_bytes", "total_inactive_file"),
}
"""By the file of a group's limit, in the second version of control groups and in the first: that of
what it uses, and the name of what it would give back, in `memory.stat`."""


def available_memory() -> float:
    """Bytes that this process may have in all, with what it has already; infinite where nothing
    tells."""
    own = _field(_PROC / "self" / "status", "RssAnon:", 0, 1024)
    machine = _field(_PROC / "meminfo", "MemAvailable:", math.inf, 1024)
    return own + min([machine, *(_left(limit) for limit in _limits())])


def _left(limit: Path) -> float:
    """Bytes that a control group has left, by the file of its limit."""
    usage, cache = _USED[limit.name]
    used = _number(limit.with_name(usage), 0)
    returned = _field(limit.with_name("memory.stat"), cache, 0)
    return max(_number(limit, math.inf) - max(used - returned, 0), 0)


def _limits() -> Iterator[Path]:
    """Of the process's own group and of those above it; of both versions of control groups."""
    yield _GROUPS / "memory.max"
    yield _GROUPS / "memory" / "memory.limit_in_bytes"
    for line in _lines(_PROC / "self" / "cgroup"):
        _, controllers, name = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base = _GROUPS / controllers
        group = base / name.lstrip("/")
        for folder in (group, *group.parents):
            if base in folder.parents:
                yield folder / ("memory.limit_in_bytes" if controllers else "memory.max")


def _field(file: Path, name: str, missing: float, unit: int = 1) -> float:
    """A number in a file of lines such as "MemAvailable: 12 kB"."""
    for line in _lines(file):
        words = line.split()
        if words[:1] == [name]:
            return float(words[1]) * unit
    return missing


def _number(file: Path, missing: float) -> float:
    try:
        return float(" ".join(_lines(file)))
    except ValueError:
        return missing  # no such file, or "max"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
