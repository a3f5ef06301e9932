"""Registered networks trained here, on pictures and classes of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from ..atomic import write_atomically
from ..classify import require_classifier
from ..errors import InputError
from ..networks.heads import head_of, set_classes
from ..networks.registry import network_spec
from ..networks.summary import summarise
from ..networks.taps import Network
from ..weights.download import file_sha256
from .classifier import Point, Score, Training, score
from .labelled import TRAINING, VALIDATION, Labelled, held_out

KEPT = 0.1
"""Share of the pictures that validates, where the data has no split."""

LARGEST = 224
"""Most pixels along each side at which pictures are seen, where nobody asks for more."""

POINTS = 12
"""Rows of the curve that a card shows."""


def fed_size(name: str, size: int | None, usual: int) -> int:
    """The side in pixels at which a network sees pictures.

    Args:
        size: that the user asked for, or None.
        usual: what it is else, of a network that takes more than one.
    Raises:
        InputError: an unknown network, one without a classifier, or a size that it does not take.
    """
    require_classifier(name)
    with torch.device("meta"):
        network = network_spec(name).build()
    size = size or network.taps["logits"].size or usual
    try:
        network.check(torch.empty(1, 3, size, size, device="meta"), ["logits"])
    except InputError as error:
        raise InputError(f"{error}; choose another with --size") from None
    return size


def fresh(name: str, classes: int, seed: int) -> Network:
    """A network with random weights that follow from the seed, and a head for so many classes.

    Raises:
        InputError: an unknown network, or one without a classifier.
    """
    require_classifier(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = network_spec(name).build()
        set_classes(network, classes)
        _initialise(network)
    return network


def _initialise(network: Network) -> None:
    """Gives a network without batch norms weights that keep the size of maps (He et al. 2015)."""
    if any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in network.modules()):
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    # Small logits, and above zero: SqueezeNet rectifies them, and those below would never learn. An
    # offset that all have in common changes no probability.
    _, head = head_of(network)
    nn.init.normal_(head.weight, std=0.01)
    if head.bias is not None:
        nn.init.ones_(head.bias)


def splits(read: Mapping[str, Labelled], source: Path, seed: int) -> tuple[Labelled, Labelled]:
    """The pictures to train with and those to validate with.

    Args:
        read: by the names of splits; "" where the data has none.
        source: what messages are to call it.
    Raises:
        InputError: splits of other names, or too few pictures.
    """
    if set(read) == {""}:
        return held_out(read[""], max(round(KEPT * len(read[""])), 1), seed)
    if not {TRAINING, VALIDATION} <= set(read):
        raise InputError(f"{source} has the splits {', '.join(sorted(read))}, not train and val")
    return read[TRAINING], read[VALIDATION]


def title_of(training: Training, found: Score) -> str:
    """NETWORK, ours, N h, top-1 x %."""
    hours = training.seconds / 3600
    return f"{training.network.name}, ours, {hours:.2g} h, top-1 {100 * found.accuracy:.1f} %"


def validated(training: Training) -> Score:
    """How often the network as it is after its last step is right on the pictures kept apart."""
    assert training.held_out is not None
    return score(training.network, training.held_out, training.size, training.autocast)


def write_card(
    training: Training, found: Score, weights: Path, path: Path, data: str, command: str
) -> str:
    """Writes the card of a trained network as Markdown.

    Args:
        found: as `validated` gives it.
        weights: the network's file.
        path: of the card.
        data: what the pictures came from.
        command: that trained it.
    Returns:
        the card's title, with the interval of its top-1.
    """
    low, high = found.interval()
    title = f"{title_of(training, found)} (95 %: {100 * low:.1f} to {100 * high:.1f})"
    summary, recipe = summarise(training.network, training.size), training.recipe
    lines = [
        f"# {title}",
        "",
        f"- file: {weights.name}, {weights.stat().st_size} bytes, SHA-256 `{file_sha256(weights)}`",
        f"- parameters: {summary.parameters:,}, one-bit {summary.one_bit_share:.1%}",
        f"- data: {data}, {len(training.pictures):,} pictures of "
        f"{len(training.pictures.classes)} classes, seen at {training.size} px",
        f"- validation: {found.right:,} of {found.pictures:,} pictures right after the last step; "
        "they chose nothing",
        f"- training: {training.seconds / 3600:.2f} h, {training.epochs:.2f} epochs, "
        f"{training.steps:,} steps of {recipe.batch} pictures, {torch.get_num_threads()} threads, "
        f"{'packed' if training.packed else 'float'} engine",
        f"- recipe: Adam at {training.rate:g}, warm-up for {recipe.warm_up:.0%} of it, cosine, "
        f"moved by up to {recipe.shift} px, mirrored, labels smoothed by {recipe.smoothing:g}, "
        f"seed {recipe.seed}",
        f"- command: `{command}`",
        "",
        "| epoch | loss | training top-1 | validation top-1, up to "
        f"{recipe.check:,} pictures | bits flipped by a step |",
        "| --- | --- | --- | --- | --- |",
        *(_row(point) for point in _some(training.points)),
    ]
    write_atomically(path, ("\n".join(lines) + "\n").encode(), parents=True)
    return title


def _some(points: list[Point]) -> list[Point]:
    stride = max(len(points) // POINTS, 1)
    shown = points[stride - 1 :: stride]
    return shown if shown and shown[-1] is points[-1] else [*shown, points[-1]]


def _row(point: Point) -> str:
    flips = "" if point.flip_ratio is None else f"{point.flip_ratio:.2e}"
    checked = "" if point.held_out is None else f"{point.held_out:.1%}"
    return f"| {point.epoch:.2f} | {point.loss:.3f} | {point.accuracy:.1%} | {checked} | {flips} |"
