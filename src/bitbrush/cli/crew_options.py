"""Options of commands that several processes, or a cluster, can share the work of."""

from __future__ import annotations

from typing import Annotated

import typer

Workers = Annotated[int, typer.Option(min=1, help="Processes that work at a time.")]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster, host:port, instead; 'local' starts one on 127.0.0.1.",
    ),
]
