"""The article's table: what a network weighs, what it knows, and how long it takes."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from ...networks.registry import network_spec
from ...networks.summary import summarise
from ...networks.taps import Network
from ...weights.bits import read_metadata, save_network
from ...weights.loading import load_network
from ..accuracy import Accuracy, accuracy_once, is_measurable
from ..contestants import Contestant
from ..once import once
from ..report import Findings, Table

SIZE = 224
"""Side in pixels of the picture that latency is measured with."""

TIMES = 7
LARGE = "vgg19"
"""What the article compares with."""

MEBI = 2.0**20


@dataclass(frozen=True)
class Measured:
    """One network.

    Attributes:
        name: its label.
        network: its name in the registry.
        parameters: numbers that the network has.
        one_bit: share of them that are single bits.
        float32: MiB of all in float32.
        packed: MiB of our file of it, with what is one bit in bits.
        latency: milliseconds of a forward pass at SIZE, by engine.
        seen: how often it is right, where that was measured.
    """

    name: str
    network: str
    parameters: int
    one_bit: float
    float32: float
    packed: float
    latency: dict[str, float]
    seen: Accuracy | None = None


def measure(by: Contestant) -> Measured:
    """What one network weighs and takes."""
    plain = load_network(by.network, by.weights, engine="float")
    summary = summarise(plain, SIZE)
    latency = {"float": _milliseconds(plain)}
    if by.spec.kind != "float":
        packed = load_network(by.network, by.weights, engine="packed")
        latency["packed"] = _milliseconds(packed)
    return Measured(
        name=by.label,
        network=by.network,
        parameters=summary.parameters,
        one_bit=summary.one_bit_share,
        float32=summary.mib_float32,
        packed=_file_size(by.file, plain),
        latency=latency,
    )


def measured_once(
    folder: Path,
    by: Contestant,
    pictures: Sequence[tuple[Path, str]] = (),
    advance: Callable[[float], None] = lambda share: None,
) -> Measured:
    """As `measure`, and how often it is right, unless that was measured before.

    Args:
        folder: of the laboratory, where it is kept.
        pictures: with their classes, see `accuracy.labelled`.
        advance: told the share that is done.
    Raises:
        InputError: a picture cannot be read, or the folder not be written to.
    """
    told = {"label": by.label, "threads": torch.get_num_threads()}
    found = once(folder, by, Measured, told, lambda: measure(by))
    advance(0.4)
    if pictures and is_measurable(by):
        seen = accuracy_once(
            folder, by, pictures, lambda done: advance(0.4 + 0.6 * done / len(pictures))
        )
        found = dataclasses.replace(found, seen=seen)
    advance(1.0)
    return found


@torch.no_grad()
def _milliseconds(network: Network) -> float:
    """Median of a few forward passes to the deepest tap, after one that does not count."""
    picture = torch.rand(1, 3, SIZE, SIZE)
    deepest = list(network.taps)[-1]
    seconds = []
    for _ in range(TIMES + 1):
        started = time.perf_counter()
        network(picture, [deepest])
        seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds[1:])


def _file_size(file: Path | None, network: Network) -> float:
    """Of the file that is there, if it is ours, or that would be written."""
    if file is not None and read_metadata(file):
        return file.stat().st_size / MEBI
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.safetensors"
        save_network(network, path, {"network": network.name})
        return path.stat().st_size / MEBI


def findings(measured: Sequence[Measured]) -> Findings:
    """The table."""
    large = next((each for each in measured if each.network == LARGE), None)
    header = ["network", "parameters", "one-bit share", "float32, MiB", "our file, MiB"]
    header += ["smaller than float32", "smaller than vgg19", "published top-1, %"]
    header += ["published top-5, %", "top-1 measured here", "top-5 measured here"]
    header += ["float, ms", "packed, ms"]
    rows: list[list[str | float | int | None]] = []
    for each in measured:
        spec = network_spec(each.network)
        rows.append(
            [
                each.name,
                f"{each.parameters:,}",
                each.one_bit,
                each.float32,
                each.packed,
                f"{each.float32 / each.packed:.1f}×",
                None if large is None else f"{large.float32 / each.packed:.0f}×",
                spec.top1,
                spec.top5,
                None if each.seen is None else each.seen.text(each.seen.top1),
                None if each.seen is None else each.seen.text(each.seen.top5),
                each.latency["float"],
                each.latency.get("packed"),
            ]
        )
    note = (
        f"Latency: median of {TIMES} forward passes to the deepest tap at {SIZE}×{SIZE} px on "
        f"{torch.get_num_threads()} threads. Published figures are the authors', with weights "
        "of theirs, on ImageNet's validation set. Sizes and latencies do not depend on what the "
        "weights are."
    )
    counts = {each.seen.pictures for each in measured if each.seen is not None}
    if counts:
        note += f" Measured on {', '.join(map(str, sorted(counts)))} pictures; 95 % interval."
    return Findings(tables=[Table("Networks", header, rows, note)])
