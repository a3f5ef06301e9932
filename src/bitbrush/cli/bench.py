"""`bitbrush bench`: how fast this engine is here, against others, in one run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, unknown_name
from .app import app, options
from .engine_notes import compile_kernels
from .networks import AsJson, make_table, show
from .progress import progress

if TYPE_CHECKING:
    from ..bench.peers import Peer
    from ..bench.tables import Table

bench = typer.Typer(help="Measure speed and memory, against other engines.")
app.add_typer(bench, name="bench")

BUSY = 0.1
"""Share of the cores that others may use before the figures are doubtful."""

SMALLEST, LARGEST = 32, 8192
"""Pixels along a side."""

Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads. [default: one for each core]")
]
Repetitions = Annotated[
    int,
    typer.Option(
        min=1,
        help="Of each contestant; they take turns, each with one more before that does not count.",
    ),
]
PeerPython = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="The python of an environment with TensorFlow 2.15, larq 0.14, larq-zoo 2.4 and "
        "larq-compute-engine 0.16, to compare with these.",
    ),
]


@bench.command()
def kernels(
    repetitions: Repetitions = 20,
    threads: Threads = None,
    peer_python: PeerPython = None,
    as_json: AsJson = False,
) -> None:
    """Time single convolutions: packed bits against torch's float32."""
    _prepare(threads)
    from ..bench.kernels import Shape, bench_kernels
    from ..bench.machine import OthersBusy, describe
    from ..bench.tables import kernel_tables

    with _peer(peer_python) as peer, progress("timing kernels", 1.0) as bar:
        busy = OthersBusy([] if peer is None else [peer.pid])

        def others(shape: Shape) -> dict[str, Callable[[], float]]:
            if peer is None:
                return {}
            size = {"channels": shape.channels, "side": shape.side}
            return peer.load("convolution", _threads(), **size)

        result = bench_kernels(repetitions, peer=others, advance=bar.update)
        result |= {"repetitions": repetitions, "machine": describe(), "others_busy": busy.share()}
        result["peers"] = peer.versions if peer is not None else {}
    _print(result, kernel_tables, as_json)


@bench.command()
def step(
    network: Annotated[str, typer.Argument(metavar="[NAME]", help="A network.")] = "quicknet-v1",
    size: Annotated[
        int, typer.Option(min=SMALLEST, max=LARGEST, help="Side of the picture in pixels.")
    ] = 512,
    memory_size: Annotated[
        int, typer.Option(min=SMALLEST, max=LARGEST, help="The same where memory is measured.")
    ] = 1024,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="N,…", help="Also the growth over these sides, or WIDTHxHEIGHT, in pixels."
        ),
    ] = None,
    repetitions: Repetitions = 20,
    threads: Threads = None,
    peer_python: PeerPython = None,
    as_json: AsJson = False,
) -> None:
    """Time one step of painting: packed bits against floats, VGG-19 and larq.

    A step is a forward pass to five taps, the distance of mean and covariance at each, and the
    gradient to the picture. Weights are random.
    """
    from ..networks.registry import network_spec

    network_spec(network)
    grown = _sizes(sizes)
    _prepare(threads)
    from ..bench.networks import Plan, bench_step
    from ..bench.tables import step_tables

    plan = Plan(network, size, repetitions, memory_size, grown)
    with _peer(peer_python) as peer, progress("timing steps", 1.0) as bar:
        result = bench_step(plan, bar.update, peer)
    _print(result, step_tables, as_json)


@bench.command()
def paint(
    content: Annotated[
        Path | None,
        typer.Argument(metavar="[CONTENT]", help="The picture to paint; else the demo's."),
    ] = None,
    style: Annotated[
        str, typer.Argument(metavar="[STYLE]", help="A picture or a built-in style.")
    ] = "brushstrokes",
    network: Annotated[str, typer.Option(help="A network with one-bit layers.")] = "quickbrush",
    weights: Annotated[str, typer.Option(help="As for paint; 'none': random.")] = "default",
    size: Annotated[
        int, typer.Option(min=SMALLEST, max=3840, help="Long edge of the painting in pixels.")
    ] = 512,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps over all scales. [default: as paint]")
    ] = None,
    against: Annotated[
        str, typer.Option(help="What to compare with, with commas: float, vgg19, or none.")
    ] = "float",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Time a whole painting: packed bits against floats, each in a process of its own."""
    from ..networks.registry import network_spec

    if network_spec(network).kind == "float":
        raise InputError(f"{network} has no one-bit layers; there is nothing to compare")
    from ..bench.painting import RIVALS, bench_paint

    rivals = [] if against == "none" else against.split(",")
    for rival in rivals:
        if rival not in RIVALS:
            raise unknown_name("rival", rival, (*RIVALS, "none"))
    _prepare(threads)
    from ..bench.tables import paint_tables

    settings: dict[str, Any] = {"network": network, "weights": weights, "size": size}
    if steps is not None:
        settings["steps"] = steps
    with progress("painting", 1.0) as bar:
        result = bench_paint(content, style, settings, rivals, bar.update)
    _print(result, paint_tables, as_json)


def _prepare(threads: int | None) -> None:
    """Makes sure that there is something to measure, sets the threads and compiles the kernels.

    Raises:
        InputError: Numba is missing, or more threads than cores.
    """
    if find_spec("numba") is None:
        raise InputError("the packed engine, which is measured, needs Numba: pip install numba")
    if threads is not None and threads > (os.cpu_count() or threads):
        raise InputError(f"--threads {threads}: this machine has {os.cpu_count()} cores")
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    compile_kernels()


def _threads() -> int:
    import torch

    return torch.get_num_threads()


@contextmanager
def _peer(python: Path | None) -> Iterator[Peer | None]:
    if python is None:
        yield None
        return
    from ..bench.peers import running_peer

    with running_peer(python) as peer:
        yield peer


def _sizes(text: str | None) -> list[tuple[int, int]]:
    """N,… or WxH,… as heights and widths.

    Raises:
        InputError: it is something else.
    """
    found = []
    for part in [] if text is None else text.split(","):
        numbers = part.strip().split("x")
        wide = [int(number) for number in numbers if number.isascii() and number.isdecimal()]
        if len(wide) != len(numbers) or len(wide) > 2:
            raise InputError(f"--sizes are pixels, N or WIDTHxHEIGHT, with commas, not {text!r}")
        if not all(SMALLEST <= side <= LARGEST for side in wide):
            raise InputError(f"--sizes lie between {SMALLEST} and {LARGEST} px, not {part.strip()}")
        found.append((wide[-1], wide[0]))
    return found


def _print(
    result: Mapping[str, Any], tables: Callable[[Mapping[str, Any]], Sequence[Table]], as_json: bool
) -> None:
    busy = result["others_busy"]
    if busy is not None and busy > BUSY and not options.quiet:
        print(
            f"other programs used {busy:.0%} of the cores meanwhile: the times are doubtful",
            file=sys.stderr,
        )
    if as_json:
        print(json.dumps(result))
        return
    from ..bench.tables import machine_line

    print(machine_line(result))
    for made in tables(result):
        print(f"\n{made.caption}:")
        table = make_table(list(made.titles), right=range(made.texts, len(made.titles)))
        for row in made.rows:
            table.add_row(*row)
        show(table)
