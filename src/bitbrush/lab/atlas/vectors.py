"""Vectors of a tap, from many pictures, streamed so that only what is kept is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...classify import prepare
from ...errors import InputError, unknown_name
from ...networks.taps import Network
from ...train.pictures import encoded_pictures
from ...train.reading import decoded_picture

BATCH = 16
"""Pictures that the network sees at a time."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Vectors:
    """What a tap holds at random places of many pictures.

    Attributes:
        values: float32 [N, C].
        picture: int32 [N], the number of the picture that each is from.
        classes: float16 [pictures, classes], the logits of each picture; None of a network that
            does not know ImageNet's classes.
        pictures: how many they are from.
    """

    values: Floats
    picture: NDArray[np.int32]
    classes: NDArray[np.float16] | None
    pictures: int


def check_tap(network: Network, tap: str) -> None:
    """Makes sure that the tap is a map of the network, which may be on the meta device.

    Raises:
        InputError: it is not; the nearest one is suggested.
    """
    maps = [name for name, each in network.taps.items() if each.stride]
    if tap not in maps:
        raise unknown_name(f"map of {network.name}", tap, maps)


def collect(
    network: Network,
    tap: str,
    sources: Sequence[Path],
    count: int,
    seed: int = 0,
    advance: Callable[[int], None] = lambda done: None,
    classes: bool = False,
) -> Vectors:
    """Takes an equal number of places from every picture, or one more from some.

    Of more pictures than vectors are wanted, those at even distances give one each. There are
    fewer vectors where maps have fewer places, or where pictures cannot be read.

    Args:
        network: settled.
        tap: a map of it.
        sources: folders of pictures, or parquet files.
        count: vectors wanted.
        advance: told how many there are.
        classes: whether to keep the network's answers, which are ImageNet's classes.
    Raises:
        InputError: no such map, or no picture that can be read.
    """
    check_tap(network, tap)
    total = sum(1 for source in sources for _ in encoded_pictures(source))
    chosen = np.linspace(0, total - 1, min(total, count)).round().astype(int)
    shares = np.diff(np.arange(len(chosen) + 1) * count // max(len(chosen), 1))
    wanted = [tap, "logits"] if classes else [tap]
    random = torch.Generator().manual_seed(seed)
    values = np.empty((0, 0), np.float32)
    answers: list[NDArray[np.float16]] = []
    taken: list[int] = []
    have = 0
    for batch in _batches(sources, chosen):
        with torch.no_grad():
            found = network(batch.to(network.mean.device), wanted)
        if not have:
            # One array from the beginning: parts put together at the end would be there twice.
            values = np.empty((count, found[tap].shape[1]), np.float32)
        for map_ in found[tap].float().cpu():
            flat = map_.flatten(1)
            places = torch.randperm(flat.shape[1], generator=random)[: shares[len(taken)]]
            values[have : have + len(places)] = flat[:, places].T.numpy()
            taken.append(len(places))
            have += len(places)
        if classes:
            answers.append(found["logits"].float().cpu().numpy().astype(np.float16))
        advance(have)
    if not have:
        raise InputError("there is no picture that could be read")
    return Vectors(
        values[:have],
        np.repeat(np.arange(len(taken), dtype=np.int32), taken),
        np.concatenate(answers) if answers else None,
        len(taken),
    )


def _batches(sources: Sequence[Path], chosen: NDArray[np.int64]) -> Iterator[Tensor]:
    """The pictures of these numbers; for one that cannot be read, the next."""
    waiting: list[Tensor] = []
    taken = 0
    for number, encoded in enumerate(chain.from_iterable(map(encoded_pictures, sources))):
        if taken == len(chosen):
            break
        if number < chosen[taken]:
            continue
        try:
            waiting.append(_seen(encoded))
        except InputError:
            continue
        taken += 1
        if len(waiting) == BATCH:
            yield torch.cat(waiting)
            waiting = []
    if waiting:
        yield torch.cat(waiting)


def _seen(encoded: bytes) -> Tensor:
    """A picture as classifiers see it."""
    pixels = torch.from_numpy(np.array(decoded_picture(encoded, "a picture")))
    return prepare(pixels.permute(2, 0, 1)[None].float() / 255)
