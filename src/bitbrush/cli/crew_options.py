"""Options of commands that several processes, or a cluster, can share the work of."""

from __future__ import annotations

from typing import Annotated

import typer

from ..cores import usable_cores
from ..errors import InputError

Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes that work at a time.", show_default="1")
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster, host:port, instead; 'local' starts one on 127.0.0.1.",
    ),
]


def crew_size(workers: int | None, ray: str | None) -> int:
    """Processes of this machine that work at a time.

    Raises:
        InputError: more than it has cores, or the work is done on other machines.
    """
    from ..lab.cluster import is_elsewhere

    if workers is not None and is_elsewhere(ray):
        raise InputError(
            f"--workers is for this machine; the cluster at {ray} takes as many as it has cores "
            "for: leave --workers out"
        )
    if workers is not None and workers > usable_cores():
        raise InputError(f"--workers {workers}: this machine has {usable_cores()} cores")
    return workers or 1
