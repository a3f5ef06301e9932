"""What memory is left: by the machine, and by control groups of either version."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitbrush import free_memory
from bitbrush.free_memory import available_memory

GB = 10**9


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files as of a machine with 8 GB to spare and a process that has 1 GB."""
    monkeypatch.setattr(free_memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(free_memory, "_GROUPS", tmp_path / "groups")
    write(tmp_path / "proc" / "meminfo", f"MemFree: 5 kB\nMemAvailable: {8 * GB // 1024} kB")
    write(tmp_path / "proc" / "self" / "status", f"Name: x\nRssAnon: {GB // 1024} kB")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_without_groups_it_is_what_the_machine_has(machine: Path) -> None:
    assert available_memory() == pytest.approx(9 * GB, rel=1e-6)


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used", "cache"),
    [
        ("0::/a/b", "a", "memory.max", "memory.current", "inactive_file"),
        ("0::/a/b", "a/b", "memory.max", "memory.current", "inactive_file"),
        ("0::/", "", "memory.max", "memory.current", "inactive_file"),
        (
            "4:memory:/a",
            "memory/a",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ],
)
def test_a_group_leaves_what_others_in_it_do_not_use(
    machine: Path, line: str, folder: str, limit: str, used: str, cache: str
) -> None:
    write(machine / "proc" / "self" / "cgroup", f"3:cpu:/c\n{line}")
    group = machine / "groups" / folder
    write(group / limit, "max")
    assert available_memory() == pytest.approx(9 * GB, rel=1e-6)
    write(group / limit, str(4 * GB))
    assert available_memory() == pytest.approx(5 * GB, rel=1e-6)  # nothing says what is used
    write(group / used, str(3 * GB))
    write(group / "memory.stat", f"anon {2 * GB}\n{cache} {GB}")
    # Of 4 GB 2 are used, this process's own among them.
    assert available_memory() == pytest.approx(3 * GB, rel=1e-6)


def test_where_nothing_tells_there_is_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "_PROC", tmp_path)
    monkeypatch.setattr(free_memory, "_GROUPS", tmp_path)
    assert available_memory() == float("inf")
