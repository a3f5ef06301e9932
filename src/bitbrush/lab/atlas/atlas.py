"""An atlas from beginning to end, in a folder that can be gone on with."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from ...atomic import make_folder, write_atomically
from ...images import read_image, write_image
from ...networks.taps import Network
from ...train.reading import picture_files
from ...weights.loading import load_network, resolve_weights
from ..accuracy import is_measurable
from ..contestants import Contestant, contestant
from .layout import Cell, cells_of, laid_out
from .render import check_size, rendered
from .vectors import Vectors, check_tap, collect

Advance = Callable[[float, str], None]
"""Told the share that is done, and of what."""

SHARES = {"collecting": 0.15, "laying out": 0.1, "painting": 0.75}
"""About how long each part takes."""

CROWD = 4
"""Vectors for each cell of a map, at least: with fewer, most cells would stay white."""


@dataclass(frozen=True)
class Plan:
    """What an atlas is made of.

    Attributes:
        network: whose vectors it shows, as `contestant` takes it.
        tap: a map of it.
        sources: folders of pictures, or parquet files.
        count: vectors wanted.
        side: cells along each side of the map, at most.
        cell: side of a cell in pixels.
        steps: that each cell is painted in.
        channels: single channels that are painted too.
        seed: of everything random.
    """

    network: str
    tap: str
    sources: Sequence[Path]
    count: int
    side: int
    cell: int
    steps: int
    channels: int
    seed: int = 0

    @property
    def subject(self) -> Contestant:
        """The network with its weights.

        Raises:
            InputError: as `contestant`.
        """
        return contestant(self.network)

    def folder_name(self) -> str:
        """Of the folder for what is made of this tap of a network with these weights."""
        sha256 = _sha256(self.subject)
        weights = "random" if sha256 is None else sha256[:8]
        return f"{self.subject.network}-{self.tap}-{weights}"

    def identity(self) -> str:
        """A hash of all that its vectors, and so their places, depend on."""
        sources = [_files(source) for source in self.sources]
        weights = (self.subject.network, _sha256(self.subject))
        told = [*weights, self.tap, sources, self.count, self.seed]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _sha256(subject: Contestant) -> str | None:
    return resolve_weights(subject.network, subject.weights).sha256


def _files(source: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of change: to read the files would take as long as to collect."""
    files = picture_files(source) if source.is_dir() else [source]
    told = [(str(file), file.stat()) for file in files if file.exists()]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in told]


@dataclass(frozen=True)
class Atlas:
    """What was made.

    Attributes:
        side: cells along each side of the map, fewer than were planned where vectors are few.
        cells: of the map, with their pictures RGB [1, 3, H, W] in [0, 1].
        channels: their numbers, each with its picture.
        vectors: that were found, perhaps fewer than were planned.
        pictures: that these are from.
    """

    plan: Plan
    side: int
    cells: Sequence[tuple[Cell, Tensor]]
    channels: Sequence[tuple[int, Tensor]]
    vectors: int
    pictures: int

    def mosaic(self) -> Tensor:
        """The map: RGB [1, 3, side cell, side cell], white where no vectors lie."""
        edge, side = self.plan.cell, self.side
        whole = torch.ones(1, 3, edge * side, edge * side)
        for cell, picture in self.cells:
            top, left = cell.row * edge, cell.column * edge
            whole[..., top : top + edge, left : left + edge] = picture
        return whole


def check_plan(plan: Plan) -> None:
    """Makes sure that there can be an atlas of this; loads no weights.

    Raises:
        InputError: an unknown network, one whose weights are not here, no such map of it, or cells
            that are too small for it.
    """
    spec = plan.subject.spec
    # On the meta device a network has shapes but no memory.
    with torch.device("meta"):
        network = spec.build()
    check_tap(network, plan.tap)
    check_size(network, plan.tap, plan.cell)


def make_atlas(plan: Plan, folder: Path, advance: Advance) -> Atlas:
    """Collects, lays out and paints what is not in the folder yet.

    What is there of the same tap, but from other vectors, is replaced.

    Raises:
        InputError: the network, its tap or the pictures are no good, or a library is missing.
    """
    network = load_network(plan.subject.network, plan.subject.weights)
    own = folder / plan.folder_name()
    vectors = _collected(plan, network, own, advance)
    places = _placed(plan, vectors, own, advance)
    found = len(vectors.values)
    side = min(plan.side, max(math.isqrt(found // CROWD), 1))
    least = max(found // (20 * side**2), 2)
    cells = cells_of(vectors, places, side, least)
    mean = torch.from_numpy(vectors.values.mean(0))
    spread = vectors.values.std(0)
    loudest = [int(channel) for channel in np.argsort(-spread)[: plan.channels]]
    names = [f"cell-{cell.row}-{cell.column}" for cell in cells]
    names += [f"channel-{channel}" for channel in loudest]
    directions = [torch.from_numpy(cell.direction) for cell in cells]
    directions += [_single(channel, spread) for channel in loudest]
    tiles = own / f"{side}x{side}-{plan.cell}px-{plan.steps}-steps"
    pictures = _painted(plan, network, tiles, names, directions, mean, advance)
    return Atlas(
        plan,
        side,
        list(zip(cells, pictures, strict=False)),
        list(zip(loudest, pictures[len(cells) :], strict=True)),
        found,
        vectors.pictures,
    )


def _single(channel: int, spread: Any) -> Tensor:
    direction = torch.zeros(len(spread))
    direction[channel] = float(spread[channel])
    return direction


def _collected(plan: Plan, network: Network, folder: Path, advance: Advance) -> Vectors:
    path, identity = folder / "vectors.npz", plan.identity()
    held = _arrays(path)
    if held is not None and held.get("identity") == identity:
        classes = held["classes"] if held["classes"].size else None
        return Vectors(held["values"], held["picture"], classes, int(held["pictures"]))
    found = collect(
        network,
        plan.tap,
        plan.sources,
        plan.count,
        plan.seed,
        lambda done: advance(SHARES["collecting"] * done / plan.count, "collecting"),
        classes=is_measurable(plan.subject),
    )
    # Places and pictures that are there belong to other vectors.
    if folder.exists():
        shutil.rmtree(folder)
    make_folder(folder)
    none = np.zeros((0, 0), np.float16)
    _keep(
        path,
        identity=np.array(identity),
        values=found.values,
        picture=found.picture,
        classes=none if found.classes is None else found.classes,
        pictures=np.array(found.pictures),
    )
    return found


def _placed(plan: Plan, vectors: Vectors, folder: Path, advance: Advance) -> Any:
    path = folder / "places.npz"
    held = _arrays(path)
    if held is not None:
        return held["places"]

    def told(share: float) -> None:
        advance(SHARES["collecting"] + SHARES["laying out"] * share, "laying out")

    told(0)
    places = laid_out(vectors.values, plan.seed, told)
    _keep(path, places=places)
    return places


def _arrays(path: Path) -> dict[str, Any] | None:
    """What `_keep` wrote; None of what is not there, or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as held:
            return dict(held)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return None


def _keep(path: Path, **arrays: Any) -> None:
    made = io.BytesIO()
    np.savez(made, **arrays)
    write_atomically(path, made.getvalue())


def _painted(
    plan: Plan,
    network: Network,
    folder: Path,
    names: Sequence[str],
    directions: Sequence[Tensor],
    mean: Tensor,
    advance: Advance,
) -> list[Tensor]:
    """Pictures by name, those that are there from their files."""
    make_folder(folder)
    missing = [place for place, name in enumerate(names) if not (folder / f"{name}.png").exists()]
    before = 1 - SHARES["painting"]
    there = len(names) - len(missing)

    def told(done: float) -> None:
        share = (there + done) / max(len(names), 1)
        advance(before + SHARES["painting"] * share, f"painting {len(names)} pictures")

    told(0)
    made = rendered(
        network,
        plan.tap,
        [directions[place] for place in missing],
        mean,
        plan.cell,
        plan.steps,
        plan.seed,
        told,
    )
    for place, picture in zip(missing, made, strict=True):
        write_image(picture, folder / f"{names[place]}.png", {"command": "atlas"})
    return [read_image(folder / f"{name}.png").rgb for name in names]
