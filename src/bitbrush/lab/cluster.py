"""Painting on a cluster of machines. Ray plans, retries and carries; what is kept is kept here.

A node needs bitbrush and nothing else: pictures and weights travel with the work. A painting whose
node is lost is begun again on another one; it is recorded once, under its key.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..images.files import write_atomically
from ..weights.loading import find_default
from .crew import Finished
from .making import files_of, make
from .plan import Cell, Sources

LOCAL = "local"
"""The address of a cluster that is started here, on 127.0.0.1 alone."""

TRIES = 5
"""Times that a painting is begun anew when its node is lost."""


def check_ray() -> None:
    """Makes sure that there is something to plan with.

    Raises:
        InputError: Ray is missing.
    """
    try:
        import ray  # noqa: F401
    except ImportError:
        raise InputError(
            "--ray needs Ray, which is not installed: pip install 'bitbrush[ray]'"
        ) from None


@contextmanager
def cluster(
    address: str, workers: int, threads: int, folder: Path, judge: str | None
) -> Iterator[Painters]:
    """Painters on a cluster, until the context ends.

    Args:
        address: of its head, as host:port; or LOCAL.
        workers: paintings at a time on LOCAL; a cluster paints as many as it has cores for.
        threads: CPU threads of a painting.
        folder, judge: of the laboratory.
    Raises:
        InputError: Ray is missing, or there is no cluster at that address.
    """
    check_ray()
    # Before Ray is imported: it reports nothing to anybody.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == LOCAL:
            ray.init(
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
        cores = ray.cluster_resources().get("CPU", 0)
        if cores < threads:
            raise InputError(f"the cluster has {cores:.0f} cores, too few for {threads} --threads")
        yield Painters(int(cores // threads), threads, folder, judge)
    finally:
        ray.shutdown()


class Painters:
    """The crew of a cluster.

    Args:
        size: paintings at a time.
    """

    def __init__(self, size: int, threads: int, folder: Path, judge: str | None) -> None:
        import ray

        self.size = size
        self._folder, self._judge = folder, judge
        self._paint = ray.remote(num_cpus=threads, max_retries=TRIES)(painted_anywhere)
        self._running: dict[Any, Cell] = {}
        self._sent: dict[Path, Any] = {}

    def begin(self, cell: Cell) -> None:
        sources = cell.sources
        files = [sources.content]
        files += [Path(sources.style)] if Path(sources.style).is_file() else []
        named = [cell.settings["network"], *([self._judge] if self._judge else [])]
        weights = {}
        for name in named:
            info = find_default(name)
            if info is not None and info.path is not None:
                weights[name] = info.path
        task = self._paint.remote(
            cell,
            self._judge,
            [path.name for path in files],
            [(name, path.name) for name, path in weights.items()],
            *[self._carried(path) for path in [*files, *weights.values()]],
        )
        self._running[task] = cell

    def _carried(self, path: Path) -> Any:
        """A file among the cluster's objects, each of which travels to a node once."""
        import ray

        if path not in self._sent:
            self._sent[path] = ray.put(path.read_bytes())
        return self._sent[path]

    def finished(self, seconds: float) -> Finished:
        import ray

        done, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
        found: Finished = []
        for task in done:
            cell = self._running.pop(task)
            try:
                picture, result = ray.get(task)
            except ray.exceptions.RayTaskError as error:
                raise InputError(f"{cell.sources.name}: {error.cause}") from error
            except ray.exceptions.RayError as error:
                raise InputError(
                    f"the cluster lost {cell.sources.name} {TRIES} times; run the same command "
                    "again to go on"
                ) from error
            self._keep(cell, picture, result)
            found.append((cell, result))
        return found

    def _keep(self, cell: Cell, picture: bytes | None, result: dict[str, Any]) -> None:
        path, told = files_of(self._folder, cell)
        if picture is not None:
            write_atomically(path, picture)
        write_atomically(told, json.dumps(result, indent=1).encode())


def painted_anywhere(
    cell: Cell,
    judge: str | None,
    names: Sequence[str],
    weights: Sequence[tuple[str, str]],
    *contents: bytes,
) -> tuple[bytes | None, dict[str, Any]]:
    """Paints and judges a cell on whichever machine this runs.

    Args:
        names: of the content's file, and of the style's if it is one.
        weights: networks and the names of their files.
        contents: of those files, in that order.
    Returns:
        the picture's PNG file, if it came out, and what was found of it.
    """
    placed = [_placed(name, content) for name, content in zip(names, contents, strict=False)]
    files = zip(weights, contents[len(names) :], strict=True)
    os.environ["BITBRUSH_WEIGHTS"] = ",".join(
        f"{network}={_placed(name, content)}" for (network, name), content in files
    )
    style = str(placed[1]) if len(placed) > 1 else cell.sources.style
    here = dataclasses.replace(cell, sources=Sources(placed[0], style))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "paintings").mkdir()
        result = make(here, Path(folder), judge)
        picture, _ = files_of(Path(folder), here)
        return (picture.read_bytes() if picture.exists() else None), result


@cache
def _own_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="bitbrush-"))


@cache
def _placed(name: str, content: bytes) -> Path:
    """The file on this machine, under its own name, which pictures tell of."""
    folder = Path(tempfile.mkdtemp(dir=_own_folder()))
    path = folder / name
    path.write_bytes(content)
    return path
