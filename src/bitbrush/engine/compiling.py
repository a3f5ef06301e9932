"""All kernels compiled at once, by several processes: a compiler in Python keeps one core busy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

from . import kernels
from .kernel import Kernel
from .kernel_cache import cache_folder, file_of

MOST = 4
"""Processes. Each takes a second to start, and 200 MB while it is there."""

_HELPER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from bitbrush.engine.building import main
main()
"""


def missing_kernels() -> list[Kernel]:
    """Those that are not compiled yet."""
    return [kernel for kernel in every_kernel() if not kernel.is_ready]


def every_kernel() -> Sequence[Kernel]:
    """All kernels there are."""
    return kernels.KERNELS


def compile_missing(advance: Callable[[int], None]) -> None:
    """Compiles every kernel that is not compiled yet, and keeps it.

    Args:
        advance: told how many of them are there.
    """
    missing = missing_kernels()
    folder = cache_folder()
    if folder is not None:
        _compile_elsewhere(missing, folder, advance)
    # Whatever kept the others from it.
    for kernel in missing:
        if not kernel.is_ready:
            kernel.compile()
            advance(sum(each.is_ready for each in missing))


def _compile_elsewhere(
    missing: Sequence[Kernel], folder: Path, advance: Callable[[int], None]
) -> None:
    """Has other processes compile and keep kernels; waits for them."""
    tasks: SimpleQueue[Kernel] = SimpleQueue()
    for kernel in missing:
        tasks.put(kernel)
    events: SimpleQueue[bool] = SimpleQueue()
    processes = [*_started(min(os.cpu_count() or 1, MOST, len(missing)))]
    try:
        with ThreadPoolExecutor(max(len(processes), 1)) as pool:
            try:
                for process in processes:
                    pool.submit(_serve, process, tasks, events, folder)
                done, ended = 0, 0
                while ended < len(processes):
                    if events.get():
                        done += 1
                        advance(done)
                    else:
                        ended += 1
            finally:
                for process in processes:
                    process.kill()
    finally:
        for process in processes:
            process.communicate()


def _started(count: int) -> Iterable[subprocess.Popen[str]]:
    """So many processes, or as many of them as can be had."""
    for _ in range(count):
        try:
            yield subprocess.Popen(
                [sys.executable, "-c", _HELPER, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            return


def _serve(
    process: subprocess.Popen[str],
    tasks: SimpleQueue[Kernel],
    events: SimpleQueue[bool],
    folder: Path,
) -> None:
    """Gives a process one task after the other, until it fails or there are no more.

    Args:
        events: gets True for every kernel that is there, and False in the end.
    """
    assert process.stdin is not None and process.stdout is not None
    try:
        while True:
            kernel = tasks.get_nowait()
            task = {
                "file": str(file_of(folder, kernel.name)),
                "module": kernel.module,
                "name": kernel.name,
                "fields": kernel.record,
            }
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            if not process.stdout.readline():
                return
            events.put(True)
    except (Empty, OSError):
        pass
    finally:
        events.put(False)
