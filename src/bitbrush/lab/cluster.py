"""Work on a cluster of machines. Ray plans, retries and carries; what is kept is kept here.

A node needs bitbrush and nothing else: pictures and weights travel with the work. Work whose node
is lost is begun again on another one, and comes back once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from ..errors import InputError
from ..images.files import read_bytes
from ..weights.loading import find_default
from .crew import Result, Task
from .elsewhere import Work, done_elsewhere

LOCAL = "local"
"""The address of a cluster that is started here, on 127.0.0.1 alone."""


def is_elsewhere(ray: str | None) -> bool:
    """Whether an address is of other machines than this one."""
    return ray not in (None, LOCAL)


ANSWER = 5.0
"""Seconds that a cluster may take to answer."""

TRIES = 5
"""Times that work is begun anew when its node is lost."""


def check_ray(address: str) -> None:
    """Makes sure that there is something to plan with, and somebody to work.

    Raises:
        InputError: Ray is missing, it is no address, or nothing answers there.
    """
    # Before Ray is imported: it reports nothing to anybody.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray  # noqa: F401
    except ImportError:
        raise InputError(
            "--ray needs Ray, which is not installed: pip install 'bitbrush[ray]'"
        ) from None
    if is_elsewhere(address):
        _check_reachable(address)


@contextmanager
def connected(address: str, workers: int, threads: int) -> Iterator[int]:
    """A cluster, until the context ends.

    Args:
        address: of its head, as host:port; or LOCAL.
        workers: tasks at a time on LOCAL; a cluster takes as many as it has cores for.
        threads: CPU threads of a task.
    Yields:
        how many tasks it works on at a time.
    Raises:
        InputError: Ray is missing, or there is no cluster at that address.
    """
    check_ray(address)
    import ray

    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == LOCAL:
            # Without an address Ray would go to a cluster that is there already.
            ray.init(
                address="local",
                num_cpus=workers * threads,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                **common,
            )
        else:
            ray.init(address=address, **common)
    except (ConnectionError, ValueError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise InputError(f"there is no cluster at {address}: {line}") from error
    try:
        # All threads of a task are on one node.
        cores = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        size = sum(int(own // threads) for own in cores)
        if not size:
            raise InputError(
                f"a painting's {threads} threads find no machine of the cluster with as many "
                f"cores; the largest has {max(cores, default=0):.0f}: use fewer --threads"
            )
        yield size
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError(f"--ray takes HOST:PORT, or {LOCAL!r}, not {address!r}")
    try:
        socket.create_connection((host, int(port)), ANSWER).close()
    except OSError as error:
        raise InputError(
            f"there is no cluster at {address} ({error.strerror or error}); start one there with "
            "'ray start --head'"
        ) from error


@dataclass(frozen=True)
class Errand:
    """A piece of work for any machine.

    Attributes:
        name: for messages.
        work: what is done there; it is pickled.
        lasting: files it needs, as others do; each content travels to a node once.
        passing: files that it alone needs.
        networks: whose weights it needs.
    """

    name: str
    work: Work
    lasting: Sequence[Path]
    passing: Sequence[Path]
    networks: Sequence[str]


class Hands(ABC, Generic[Task, Result]):
    """A crew of a cluster.

    Args:
        size: tasks at a time.
        threads: CPU threads of each.
    """

    def __init__(self, size: int, threads: int) -> None:
        import ray

        self.size = size
        self._work = ray.remote(num_cpus=threads, max_retries=TRIES)(done_elsewhere)
        self._running: dict[Any, tuple[Task, str]] = {}
        self._marks: dict[Path, str] = {}
        self._stored: dict[str, Any] = {}

    @abstractmethod
    def _errand(self, task: Task) -> Errand:
        """What a task means for another machine."""

    @abstractmethod
    def _keep(self, task: Task, brought: Any) -> Result:
        """Keeps on this machine what the errand's work returned."""

    def begin(self, task: Task) -> None:
        errand = self._errand(task)
        weights = {}
        for network in errand.networks:
            info = find_default(network)
            if info is not None and info.path is not None:
                weights[network] = info.path
        marks = [self._carried(path) for path in [*errand.lasting, *weights.values()]]
        begun = self._work.remote(
            errand.work,
            errand.lasting,
            [(path, read_bytes(path)) for path in errand.passing],
            [(network, path.name) for network, path in weights.items()],
            marks,
            *[self._stored[mark] for mark in marks],
        )
        self._running[begun] = task, errand.name

    def _carried(self, path: Path) -> str:
        """The SHA-256 of a file, whose content is once among the cluster's objects."""
        import ray

        if path not in self._marks:
            content = read_bytes(path)
            mark = hashlib.sha256(content).hexdigest()
            if mark not in self._stored:
                self._stored[mark] = ray.put(content)
            self._marks[path] = mark
        return self._marks[path]

    def finished(self, seconds: float) -> list[tuple[Task, Result]]:
        import ray

        done, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
        found = []
        for each in done:
            task, name = self._running.pop(each)
            try:
                brought = ray.get(each)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, InputError):
                    raise error.cause from None
                raise InputError(f"{name}: {error.cause}") from error
            except ray.exceptions.RayError as error:
                raise InputError(
                    f"the cluster lost {name} {TRIES} times; run the same command again"
                ) from error
            found.append((task, self._keep(task, brought)))
        return found
