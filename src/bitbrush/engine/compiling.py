"""All kernels compiled at once, in several processes: a compiler in Python keeps one core busy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from . import kernels
from .kernel import Kernel

MOST = 3
"""Processes besides this one. Each takes two seconds to start, and 250 MB while it is there."""

FEWEST = 4
"""Kernels that another process is worth."""

_HELPER = """
import json, sys
path, names = json.loads(sys.argv[1])
sys.path[:] = path
from bitbrush.engine.compiling import compile_named
compile_named(names)
"""


def missing_kernels() -> list[Kernel]:
    """Those that are not compiled yet."""
    return [kernel for kernel in every_kernel() if not kernel.is_ready]


def compile_missing(advance: Callable[[int], None]) -> None:
    """Compiles every kernel that is not compiled yet, and keeps it.

    Args:
        advance: told how many of them are there.
    """
    missing = missing_kernels()
    processes = 1 + min((os.cpu_count() or 1) - 1, MOST, len(missing) // FEWEST)
    shares = [missing[first::processes] for first in range(processes)]
    # Its own share, and then what the others have not come to, from its far end.
    order = [*shares[0], *(kernel for share in shares[1:] for kernel in reversed(share))]
    with _helpers(shares[1:]):
        for kernel in order:
            kernel.compile()
            advance(sum(each.is_ready for each in missing))


def compile_named(names: Sequence[str]) -> None:
    """Compiles kernels by name; what a helping process does."""
    for kernel in every_kernel():
        if kernel.name in names:
            kernel.compile()


def every_kernel() -> Sequence[Kernel]:
    """All kernels there are."""
    return kernels.KERNELS


@contextmanager
def _helpers(shares: Sequence[Sequence[Kernel]]) -> Iterator[None]:
    """A process for each share; whatever keeps them from it, the kernels can be compiled here."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for share in shares:
            task = json.dumps([sys.path, [kernel.name for kernel in share]])
            command = [sys.executable, "-c", _HELPER, task]
            try:
                running.append(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                )
            except OSError:
                break
        yield
    finally:
        for process in running:
            # What it was at has been compiled here meanwhile.
            process.kill()
            process.wait()
