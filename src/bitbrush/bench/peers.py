"""Other engines for the same networks, which take their turns in an environment of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError
from .machine import pause
from .timing import Contestant

SCRIPT = Path(__file__).with_name("larq_peer.py")


class Peer:
    """A running `larq_peer`; see there for what it is asked.

    Attributes:
        pid: of its process.
        versions: of its libraries, by name, once something was loaded.
    """

    def __init__(self, process: subprocess.Popen[str], python: str) -> None:
        self._process = process
        self._python = python
        self.pid = process.pid
        self.versions: dict[str, str] = {}

    def load(self, what: str, threads: int, **shape: int) -> dict[str, Contestant]:
        """Makes contestants: "network" of a size, or "convolution" of channels and a side.

        Raises:
            InputError: it cannot, for instance because a library is missing there.
        """
        answer = self._ask({"load": what, "threads": threads, **shape})
        self.versions = answer["versions"]
        return {name: self._contestant(name) for name in answer["contestants"]}

    def step_memory(self, size: int, threads: int) -> dict[str, Any]:
        """What TensorFlow's step of QuickNet takes, as `memory.measure_apart` gives it.

        The peak is left out: the process holds other contestants too.
        """
        self._ask({"load": "step", "size": size, "threads": threads})
        found = {"engine": "TensorFlow, step", "height": size, "width": size}
        return found | self._ask({"grow": "TensorFlow, step"})

    def _contestant(self, name: str) -> Contestant:
        def run() -> float:
            # Both sides have threads that wait actively for a moment after their work.
            pause()
            seconds = float(self._ask({"run": name})["seconds"])
            pause()
            return seconds

        return run

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
            answer: dict[str, Any] = json.loads(line)
        except (OSError, ValueError) as error:
            raise InputError(f"{self._python} cannot run the peers ({SCRIPT.name})") from error
        if "error" in answer:
            raise InputError(f"the peers in {self._python} failed: {answer['error']}")
        return answer


@contextmanager
def running_peer(python: Path | str) -> Iterator[Peer]:
    """A peer that runs for as long as the block does.

    Args:
        python: the interpreter of an environment that has TensorFlow 2.15, larq 0.14, larq-zoo 2.4
            and larq-compute-engine 0.16.
    Raises:
        InputError: there is no such program.
    """
    found = shutil.which(str(python))
    if found is None:
        raise InputError(f"--peer-python {python} is no program")
    # None of ours: neither what Python finds nor how many threads there are.
    hidden = ("PYTHONPATH", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    with subprocess.Popen(
        [found, str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        try:
            yield Peer(process, str(python))
        finally:
            process.kill()
