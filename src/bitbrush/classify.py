"""What a network sees in a picture: the ImageNet classes it finds most likely."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from .errors import InputError
from .networks.registry import NETWORKS, network_spec
from .networks.taps import Network
from .weights.bits import read_metadata

SHORT_SIDE = 256
CROP = 224
USUAL_COUNT = 5
"""Classes that are named, where nobody asks for another number."""

CLASSES, NAMES, SIZE = "classes", "class-names", "class-size"
"""In the metadata of a network that was trained here: how many classes it tells apart, their names
as JSON, and the side in pixels at which it saw pictures."""

MOST_DIGITS = 4
"""Of that side, which memory is reserved for."""


@dataclass(frozen=True)
class Guess:
    """One class that a picture may belong to.

    Attributes:
        wordnet_id: its id, such as "n01443537"; None of a class of one's own.
        name: its English name, or as its own pictures had it.
        probability: by the network, in [0, 1].
    """

    wordnet_id: str | None
    name: str
    probability: float


@dataclass(frozen=True)
class OwnClasses:
    """What a network was trained to tell apart, other than ImageNet's classes.

    Attributes:
        names: in the order of the logits.
        size: side in pixels of the pictures that it was trained with.
    """

    names: tuple[str, ...]
    size: int


def told_classes(own: OwnClasses) -> dict[str, str]:
    """What the metadata of a network's file says of its classes; `own_classes` reads it."""
    count, size = str(len(own.names)), str(own.size)
    return {CLASSES: count, NAMES: json.dumps(own.names), SIZE: size}


def own_classes(metadata: Mapping[str, str], file: Path) -> OwnClasses | None:
    """The classes that the metadata of a network's file names; None where it names none.

    Args:
        file: what messages are to call it.
    Raises:
        InputError: what it says is damaged.
    """
    if NAMES not in metadata:
        return None
    size = metadata.get(SIZE, "")
    try:
        names = json.loads(metadata[NAMES])
    except (ValueError, RecursionError):
        names = None
    if not (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and str(len(names)) == metadata.get(CLASSES)
        and size.isdecimal()
        and len(size) <= MOST_DIGITS
        and int(size) > 0
    ):
        raise InputError(f"{file} is damaged: it does not tell its classes and their size")
    return OwnClasses(tuple(names), int(size))


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """WordNet id and English name of the 1,000 ImageNet classes, in the order of the logits."""
    table = files("bitbrush").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines())
    return tuple((wordnet_id, name) for wordnet_id, name in rows)


def prepare(image: Tensor, short_side: int = SHORT_SIDE, crop: int = CROP) -> Tensor:
    """The picture as classifiers are tested: short side to 256 px (antialiased), centre 224.

    Args:
        image: RGB [1, 3, H, W] in [0, 1], of any size.
        short_side, crop: others than these, in pixels.
    Returns:
        [1, 3, crop, crop].
    """
    short = min(image.shape[-2:])
    # The far ends of a long strip are cut first, since all but its middle is thrown away.
    image = _centre(image, 4 * short, 4 * short)
    height, width = image.shape[-2:]
    size = (height * short_side // short, width * short_side // short)
    resized = functional.interpolate(image, size, mode="bilinear", antialias=True)
    return _centre(resized, crop, crop)


def _centre(image: Tensor, height: int, width: int) -> Tensor:
    """The middle of the picture, of at most that many pixels along each axis."""
    top, left = (
        max(have - want, 0) // 2
        for have, want in zip(image.shape[-2:], (height, width), strict=True)
    )
    return image[..., top : top + height, left : left + width]


def require_classifier(name: str) -> None:
    """Whether the network of that name ends in a classifier; needs no weights.

    Raises:
        InputError: unknown name, or a network without logits; those that have them are named.
    """
    if not _classifies(network_spec(name).name):
        raise _no_classifier(name)


def _no_classifier(name: str) -> InputError:
    known = ", ".join(other for other in NETWORKS if _classifies(other))
    return InputError(f"{name} has no classifier; networks that have one: {known}")


@cache
def _classifies(name: str) -> bool:
    # On the meta device a network has shapes but no memory, so even VGG's is there at once.
    with torch.device("meta"):
        return "logits" in NETWORKS[name].build().taps


def knows_imagenet(name: str, file: Path | None) -> bool:
    """Whether a network's answers are ImageNet's classes; loads no weights.

    By what a file of ours says of its classes: their number and, where it has them, their names,
    which are WordNet ids or English. A file that says nothing is of the classes that the network
    was published with, and these are ImageNet's.

    Args:
        name: of the network.
        file: of its weights; None of random ones.
    Raises:
        InputError: an unknown network, or what the file says is damaged.
    """
    if not _classifies(network_spec(name).name):
        return False
    known = imagenet_classes()
    metadata = {} if file is None else read_metadata(file)
    own = None if file is None else own_classes(metadata, file)
    if own is None:
        return metadata.get(CLASSES, str(len(known))) == str(len(known))
    return len(own.names) == len(known) and all(
        name in each for name, each in zip(own.names, known, strict=True)
    )


@torch.no_grad()
def top_classes(
    network: Network, image: Tensor, count: int | None = None, own: OwnClasses | None = None
) -> list[Guess]:
    """The most likely classes of a picture, best first.

    Args:
        network: one with logits, in evaluation mode.
        image: RGB [1, 3, H, W] in [0, 1], of any size, on any device; resized and cropped by
            `prepare`, and without a border cut off where classes are `own`.
        count: how many classes, 1 to all; 5 (or all, of fewer) if None.
        own: the network's classes, if not ImageNet's.
    Raises:
        InputError: a network without a classifier or of other classes, or a bad count.
    """
    classes: Sequence[tuple[str | None, str]] = imagenet_classes()
    if own is not None:
        classes = [(None, name) for name in own.names]
    count = min(USUAL_COUNT, len(classes)) if count is None else count
    if not 1 <= count <= len(classes):
        raise InputError(f"the number of classes must be 1 to {len(classes)}, not {count}")
    if "logits" not in network.taps:
        raise _no_classifier(network.name)
    image = image.to(network.mean.device)
    seen = prepare(image) if own is None else prepare(image, own.size, own.size)
    logits = network(seen, ["logits"])["logits"][0]
    if len(logits) != len(classes):
        wanted = "ImageNet's 1,000" if own is None else f"{len(classes):,}"
        raise InputError(f"{network.name} knows {len(logits)} classes, not {wanted}")
    best = logits.float().softmax(0).topk(count)
    return [
        Guess(classes[index][0], classes[index][1], probability)
        for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
