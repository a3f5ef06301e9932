"""Vectors on a map of two dimensions, and the means of its cells."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...classify import imagenet_classes
from ...errors import InputError
from .vectors import Floats, Vectors

NEIGHBOURS, DISTANCE = 15, 0.1
"""Of UMAP: how many neighbours make up a place's surroundings, and how near points may lie."""

CLASSES = 3
"""That a cell is captioned with."""


@dataclass(frozen=True)
class Cell:
    """A place of the map.

    Attributes:
        row, column: from the top left.
        count: vectors that lie there.
        direction: float32 [C], their mean less the mean of all.
        classes: those their pictures speak for more than others do, the first one most.
    """

    row: int
    column: int
    count: int
    direction: Floats
    classes: Sequence[str]


def check_layout() -> None:
    """Makes sure that maps can be made.

    Raises:
        InputError: umap-learn is missing.
    """
    try:
        import umap  # noqa: F401
    except ImportError:
        raise InputError(
            "the atlas needs umap-learn, which is not installed: pip install 'bitbrush[atlas]'"
        ) from None


class _Rounds(io.StringIO):
    """Where UMAP's bar is written to, and told from it how far UMAP is."""

    FORM = "{n}/{total} "

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def write(self, text: str) -> int:
        done, slash, total = text.strip().partition("/")
        if slash and done.isdecimal() and total.isdecimal():
            self._advance(int(done) / max(int(total), 1))
        return len(text)


def laid_out(
    values: Floats, seed: int = 0, advance: Callable[[float], None] = lambda share: None
) -> NDArray[np.float64]:
    """Places in the unit square, [N, 2], so that what is alike lies together.

    Along each axis they lie evenly.

    Args:
        values: [N, C]; compared by the angle between them, without their common mean.
        advance: told the share that is done, once neighbours are known.
    Source: McInnes et al. 2018 (UMAP).
    """
    check_layout()
    from umap import UMAP

    centred = values - values.mean(0)
    few = min(NEIGHBOURS, len(values) - 1)
    # With a seed it runs on one thread, and gives the same map each time.
    mapper = UMAP(
        n_neighbors=few,
        min_dist=DISTANCE,
        metric="cosine",
        random_state=seed,
        n_jobs=1,
        tqdm_kwds={"file": _Rounds(advance), "bar_format": _Rounds.FORM, "disable": False},
    )
    places = np.asarray(mapper.fit_transform(centred), dtype=float)
    # By rank along each axis: UMAP leaves wide seas between islands, where a map would stay white.
    order = places.argsort(axis=0, kind="stable")
    ranks: NDArray[np.float64] = order.argsort(axis=0, kind="stable") / (len(places) - 1)
    return ranks


def cells_of(vectors: Vectors, places: NDArray[np.float64], side: int, least: int) -> list[Cell]:
    """The cells of a map of side x side in which at least so many vectors lie."""
    column, row = np.minimum((places * side).astype(int), side - 1).T
    mean = vectors.values.mean(0)
    log_shares = None if vectors.classes is None else _log_shares(vectors.classes)
    usual = None if log_shares is None else _mean(log_shares, vectors.picture)
    cells = []
    for number in np.unique(row * side + column):
        inside = row * side + column == number
        if inside.sum() < least:
            continue
        classes: list[str] = []
        if log_shares is not None and usual is not None:
            more = _mean(log_shares, vectors.picture[inside]) - usual
            classes = [imagenet_classes()[index][1] for index in np.argsort(-more)[:CLASSES]]
        direction = vectors.values[inside].mean(0) - mean
        cells.append(
            Cell(int(number) // side, int(number) % side, int(inside.sum()), direction, classes)
        )
    return cells


def _mean(of_pictures: Floats, picture: NDArray[np.int32]) -> Floats:
    """Of vectors, where all of a picture have the same."""
    times = np.bincount(picture, minlength=len(of_pictures)).astype(np.float32)
    return np.asarray(times @ of_pictures / len(picture), np.float32)


def _log_shares(logits: NDArray[np.float16]) -> Floats:
    whole = logits.astype(np.float32)
    whole -= whole.max(1, keepdims=True)
    found: Floats = whole - np.log(np.exp(whole).sum(1, keepdims=True))
    return found
