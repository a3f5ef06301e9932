"""Vectors of a tap, from many pictures, streamed so that only what is kept is in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ...classify import prepare
from ...errors import InputError
from ...networks.taps import Network
from ...train.pictures import encoded_pictures

BATCH = 16
"""Pictures that the network sees at a time."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Vectors:
    """What a tap holds at random places of many pictures.

    Attributes:
        values: float32 [N, C].
        picture: int32 [N], the number of the picture that each is from.
        classes: float16 [pictures, classes], the logits of each picture; None without a classifier.
        pictures: how many they are from.
    """

    values: Floats
    picture: NDArray[np.int32]
    classes: NDArray[np.float16] | None
    pictures: int


def collect(
    network: Network,
    tap: str,
    sources: Sequence[Path],
    count: int,
    seed: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> Vectors:
    """Takes an equal number of places from every picture.

    Args:
        network: settled.
        tap: a map of it.
        sources: folders of pictures, or parquet files.
        count: vectors wanted.
        advance: told how many there are.
    Raises:
        InputError: no such map, or too few pictures.
    """
    if tap not in network.taps or not network.taps[tap].stride:
        maps = ", ".join(name for name, each in network.taps.items() if each.stride)
        raise InputError(f"{network.name} has no map {tap!r}; it has: {maps}")
    total = sum(1 for source in sources for _ in encoded_pictures(source))
    each = max(-(-count // max(total, 1)), 1)
    # Of more pictures than vectors are wanted, every so-manieth is taken.
    stride = max(total // count, 1)
    classifies = "logits" in network.taps
    random = torch.Generator().manual_seed(seed)
    values = np.empty((0, 0), np.float32)
    classes: list[NDArray[np.float16]] = []
    taken: list[int] = []
    have = 0
    for batch in _batches(sources, stride):
        with torch.no_grad():
            wanted = [tap, "logits"] if classifies else [tap]
            found = network(batch.to(network.mean.device), wanted)
        if not have:
            # One array from the beginning: parts put together at the end would be there twice.
            values = np.empty((count, found[tap].shape[1]), np.float32)
        for map_ in found[tap].float().cpu():
            flat = map_.flatten(1)
            places = torch.randperm(flat.shape[1], generator=random)[: min(each, count - have)]
            values[have : have + len(places)] = flat[:, places].T.numpy()
            taken.append(len(places))
            have += len(places)
        if classifies:
            classes.append(found["logits"].float().cpu().numpy().astype(np.float16))
        advance(have)
        if have >= count:
            break
    if not have:
        raise InputError("there is no picture that could be read")
    return Vectors(
        values[:have],
        np.repeat(np.arange(len(taken), dtype=np.int32), taken),
        np.concatenate(classes) if classifies else None,
        len(taken),
    )


def _batches(sources: Sequence[Path], stride: int) -> Iterator[Tensor]:
    waiting: list[Tensor] = []
    number = 0
    for source in sources:
        for encoded in encoded_pictures(source):
            number += 1
            if number % stride:
                continue
            picture = _decoded(encoded)
            if picture is None:
                continue
            waiting.append(picture)
            if len(waiting) == BATCH:
                yield torch.cat(waiting)
                waiting = []
    if waiting:
        yield torch.cat(waiting)


def _decoded(encoded: bytes) -> Tensor | None:
    """As classifiers see it; None of what cannot be read."""
    try:
        image = Image.open(io.BytesIO(encoded)).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    return prepare(pixels.float() / 255)
