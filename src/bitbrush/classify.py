"""What a network sees in a picture: the ImageNet classes it finds most likely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import torch
from torch import Tensor
from torch.nn import functional

from .errors import InputError
from .networks.heads import head_of
from .networks.registry import NETWORKS, network_spec
from .networks.taps import Network

SHORT_SIDE = 256
CROP = 224


@dataclass(frozen=True)
class Guess:
    """One class that a picture may belong to.

    Attributes:
        wordnet_id: its id, such as "n01443537".
        name: its English name.
        probability: by the network, in [0, 1].
    """

    wordnet_id: str
    name: str
    probability: float


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """WordNet id and English name of the 1,000 ImageNet classes, in the order of the logits."""
    table = files("bitbrush").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines())
    return tuple((wordnet_id, name) for wordnet_id, name in rows)


def prepare(image: Tensor) -> Tensor:
    """The picture as classifiers are tested: short side to 256 px (antialiased), centre 224.

    Args:
        image: RGB [1, 3, H, W] in [0, 1], of any size.
    Returns:
        [1, 3, 224, 224].
    """
    short = min(image.shape[-2:])
    # The far ends of a long strip are cut first, since all but its middle is thrown away.
    image = _centre(image, 4 * short, 4 * short)
    height, width = image.shape[-2:]
    size = (height * SHORT_SIDE // short, width * SHORT_SIDE // short)
    resized = functional.interpolate(image, size, mode="bilinear", antialias=True)
    return _centre(resized, CROP, CROP)


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


def knows_imagenet(network: Network) -> bool:
    """Whether its answers are ImageNet's classes, as far as their number tells.

    Args:
        network: in floats; a packed one may not show its head any more.
    """
    if "logits" not in network.taps:
        return False
    return len(head_of(network)[1].weight) == len(imagenet_classes())


@torch.no_grad()
def top_classes(network: Network, image: Tensor, count: int = 5) -> list[Guess]:
    """The most likely ImageNet classes of a picture, best first.

    Args:
        network: one with logits of 1,000 classes, in evaluation mode.
        image: RGB [1, 3, H, W] in [0, 1], of any size, on any device; resized and cropped by
            `prepare`.
        count: how many classes, 1 to 1,000.
    Raises:
        InputError: a network without a classifier or of other classes, or a bad count.
    """
    classes = imagenet_classes()
    if not 1 <= count <= len(classes):
        raise InputError(f"the number of classes must be 1 to {len(classes)}, not {count}")
    if "logits" not in network.taps:
        raise _no_classifier(network.name)
    logits = network(prepare(image.to(network.mean.device)), ["logits"])["logits"][0]
    if len(logits) != len(classes):
        raise InputError(f"{network.name} knows {len(logits)} classes, not ImageNet's 1,000")
    best = logits.float().softmax(0).topk(count)
    return [
        Guess(classes[index][0], classes[index][1], probability)
        for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
