"""An atlas from beginning to end, in a folder that can be gone on with."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from ...atomic import write_atomically
from ...images import read_image, write_image
from ...networks.registry import network_spec
from ...networks.taps import Network
from ...train.reading import picture_files
from ...weights.loading import load_network, resolve_weights
from .layout import Cell, cells_of, laid_out
from .render import rendered
from .vectors import Vectors, check_tap, collect

Advance = Callable[[float, str], None]
"""Told the share that is done, and of what."""

SHARES = {"collecting": 0.15, "laying out": 0.1, "painting": 0.75}
"""About how long each part takes."""


@dataclass(frozen=True)
class Plan:
    """What an atlas is made of.

    Attributes:
        network, tap: whose vectors it shows.
        sources: folders of pictures, or parquet files.
        count: vectors wanted.
        side: cells along each side of the map.
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

    def identity(self) -> str:
        """A name that no other plan has, nor this one with other weights or pictures."""
        told = {**vars(self), "sources": [_files(source) for source in self.sources]}
        told["weights"] = resolve_weights(self.network).sha256
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _files(source: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of change: to read the files would take as long as to collect."""
    files = picture_files(source) if source.is_dir() else [source]
    told = [(str(file), file.stat()) for file in files if file.exists()]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in told]


@dataclass(frozen=True)
class Atlas:
    """What was made.

    Attributes:
        cells: of the map, with their pictures RGB [1, 3, H, W] in [0, 1].
        channels: a picture for each.
        vectors: that were found, perhaps fewer than were planned.
        pictures: that these are from.
    """

    plan: Plan
    cells: Sequence[tuple[Cell, Tensor]]
    channels: Sequence[Tensor]
    vectors: int
    pictures: int

    def mosaic(self) -> Tensor:
        """The map: RGB [1, 3, side cell, side cell], white where no vectors lie."""
        edge, side = self.plan.cell, self.plan.side
        whole = torch.ones(1, 3, edge * side, edge * side)
        for cell, picture in self.cells:
            top, left = cell.row * edge, cell.column * edge
            whole[..., top : top + edge, left : left + edge] = picture
        return whole


def check_subject(network: str, tap: str) -> None:
    """Makes sure that there can be an atlas of this; loads no weights.

    Raises:
        InputError: an unknown network, one whose weights are not here, or no such map of it.
    """
    resolve_weights(network)
    # On the meta device a network has shapes but no memory.
    with torch.device("meta"):
        check_tap(network_spec(network).build(), tap)


def make_atlas(plan: Plan, folder: Path, advance: Advance) -> Atlas:
    """Collects, lays out and paints what is not in the folder yet.

    Raises:
        InputError: the network, its tap or the pictures are no good, or a library is missing.
    """
    network = load_network(plan.network)
    own = folder / f"{plan.network}-{plan.identity()}"
    own.mkdir(parents=True, exist_ok=True)
    vectors = _collected(plan, network, own, advance)
    places = _placed(plan, vectors, own, advance)
    found = len(vectors.values)
    least = max(found // (20 * plan.side**2), 2)
    cells = cells_of(vectors, places, plan.side, least)
    mean = torch.from_numpy(vectors.values.mean(0))
    spread = vectors.values.std(0)
    loudest = np.argsort(-spread)[: plan.channels]
    names = [f"cell-{cell.row}-{cell.column}" for cell in cells]
    names += [f"channel-{channel}" for channel in loudest]
    directions = [torch.from_numpy(cell.direction) for cell in cells]
    directions += [_single(int(channel), spread) for channel in loudest]
    pictures = _painted(plan, network, own, names, directions, mean, advance)
    return Atlas(
        plan,
        list(zip(cells, pictures, strict=False)),
        pictures[len(cells) :],
        found,
        vectors.pictures,
    )


def _single(channel: int, spread: Any) -> Tensor:
    direction = torch.zeros(len(spread))
    direction[channel] = float(spread[channel])
    return direction


def _collected(plan: Plan, network: Network, folder: Path, advance: Advance) -> Vectors:
    path = folder / "vectors.npz"
    held = _arrays(path)
    if held is not None and "picture" in held:
        classes = held["classes"] if held["classes"].size else None
        return Vectors(held["values"], held["picture"], classes, int(held["pictures"]))
    found = collect(
        network,
        plan.tap,
        plan.sources,
        plan.count,
        plan.seed,
        lambda done: advance(SHARES["collecting"] * done / plan.count, "collecting"),
    )
    none = np.zeros((0, 0), np.float16)
    _keep(
        path,
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
