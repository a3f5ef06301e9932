"""How often a classifier is right, on pictures named by their class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..classify import imagenet_classes, knows_imagenet, top_classes
from ..errors import InputError
from ..images import read_image
from ..networks.taps import Network
from ..shares import wilson
from ..weights.loading import load_network
from .contestants import Contestant
from .evaluate import is_picture
from .once import once
from .plan import digest


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


def is_measurable(by: Contestant) -> bool:
    """Whether its answers can be right: of trained weights, and ImageNet's classes.

    Raises:
        InputError: its file is damaged.
    """
    return not by.is_control and knows_imagenet(by.network, by.file)


def measurable(networks: Iterable[Contestant]) -> list[Contestant]:
    """Those that `is_measurable`.

    Raises:
        InputError: there is none, so that pictures to measure on would be for nothing.
    """
    found = [by for by in networks if is_measurable(by)]
    if not found:
        raise InputError(
            "none of the networks tells ImageNet's classes with trained weights; leave out "
            "--images, or name one that does with --network"
        )
    return found


def accuracies(
    folder: Path,
    networks: Sequence[Contestant],
    pictures: Sequence[tuple[Path, str]],
    advance: Callable[[float, str], None],
) -> dict[str, Accuracy]:
    """Each network's, by its label, as `accuracy_once`.

    Args:
        advance: told how many are done, with a part of the one at work, and which that is.
    """
    found: dict[str, Accuracy] = {}
    for done, by in enumerate(networks):

        def note(count: int, done: int = done, label: str = by.label) -> None:
            advance(done + count / len(pictures), f"measuring {label}")

        found[by.label] = accuracy_once(folder, by, pictures, note)
    return found


def accuracy_once(
    folder: Path,
    by: Contestant,
    pictures: Sequence[tuple[Path, str]],
    advance: Callable[[int], None] = lambda done: None,
) -> Accuracy:
    """As `accuracy`, unless that was measured before with the same weights and pictures.

    Args:
        folder: of the laboratory, where it is kept.
        by: one that `is_measurable`.
        pictures, advance: as for `accuracy`.
    Raises:
        InputError: a picture cannot be read, or the folder not be written to.
    """
    told = {"pictures": [(digest(path), wanted) for path, wanted in pictures]}

    def measure() -> Accuracy:
        return accuracy(load_network(by.network, by.weights, engine="float"), pictures, advance)

    return once(folder, by, Accuracy, told, measure)


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
