"""How often a classifier is right, on pictures named by their class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..classify import imagenet_classes, top_classes
from ..errors import InputError
from ..images import read_image
from ..networks.taps import Network
from ..shares import wilson
from .evaluate import is_picture


@dataclass(frozen=True)
class Accuracy:
    """Of so many pictures.

    Attributes:
        top1, top5: how many had the right class first, and among the first five.
    """

    pictures: int
    top1: int
    top5: int

    def text(self, right: int) -> str:
        """The share of so many right answers in per cent, with its 95 % interval."""
        low, high = wilson(right, self.pictures)
        share = 100 * right / self.pictures
        return f"{share:.1f} % ({100 * low:.0f} to {100 * high:.0f})"


def labelled(folder: Path) -> list[tuple[Path, str]]:
    """Pictures with their WordNet id: the name of the file, up to a _ or -, or of its folder.

    Raises:
        InputError: there is none.
    """
    known = {wordnet_id for wordnet_id, _ in imagenet_classes()}
    found = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if is_picture(path):
            names = (path.stem.replace("-", "_").partition("_")[0], path.parent.name)
            found += [(path, name) for name in names if name in known][:1]
    if not found:
        raise InputError(
            f"no picture in {folder} is named by its class, as n01443537_12.jpg or n01443537/12.jpg"
        )
    return found


def accuracy(
    network: Network,
    pictures: Sequence[tuple[Path, str]],
    advance: Callable[[int], None] = lambda done: None,
) -> Accuracy:
    """Classifies pictures whose class is known.

    Args:
        network: with logits of ImageNet's classes.
        pictures: from `labelled`.
        advance: told how many are done.
    """
    first = among = 0
    for done, (path, wanted) in enumerate(pictures, 1):
        guesses = [guess.wordnet_id for guess in top_classes(network, read_image(path).rgb)]
        first += guesses[0] == wanted
        among += wanted in guesses
        advance(done)
    return Accuracy(len(pictures), first, among)
