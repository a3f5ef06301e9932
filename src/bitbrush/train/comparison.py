"""A one-bit network beside its float twin: parameters, memory, accuracy, speed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from ..atomic import write_atomically
from ..bench.timing import interleaved, looped
from ..errors import InputError
from ..networks.summary import summarise
from ..networks.taps import Network
from .classifier import Point, Score

REPETITIONS = 9


@dataclass(frozen=True)
class Result:
    """What a training came to, at its last step.

    Attributes:
        recipe: its name.
        width: share of the channels.
        epochs, planned: passes over the pictures that were done, and that the recipe has.
        pictures: that it was trained with.
        hours: of training.
        right, tested: of the test pictures.
        training_accuracy: of the last point of the curve, as the pictures were shown.
        held_out: of the last point, or None.
        weights: SHA-256 of the weight file that was tested; None where an older result does not
            tell.
        test_set: digest of the test pictures, or None likewise.
    """

    recipe: str
    width: float
    epochs: float
    planned: int | None
    pictures: int
    hours: float
    right: int
    tested: int
    training_accuracy: float
    held_out: float | None
    weights: str | None = None
    test_set: str | None = None

    @property
    def score(self) -> Score:
        """On the test pictures."""
        return Score(self.right, self.tested)

    def is_of(self, weights: str, test_set: str) -> bool:
        """Whether it is what these weights come to on these test pictures."""
        return (self.weights, self.test_set) == (weights, test_set)

    def compares(self, width: float, test_set: str) -> bool:
        """Whether it may stand beside a result of this width and these test pictures."""
        # An older one was tested with pictures that it does not tell; it is not thrown away.
        return self.width == width and self.test_set in (None, test_set)


def result_of(
    recipe: str,
    width: float,
    planned: int | None,
    pictures: int,
    last: Point,
    score: Score,
    weights: str,
    test_set: str,
) -> Result:
    """The result of a training whose curve ends in a point; see `Result` for the rest."""
    return Result(
        recipe=recipe,
        width=width,
        epochs=last.epoch,
        planned=planned,
        pictures=pictures,
        hours=round(last.seconds / 3600, 3),
        right=score.right,
        tested=score.pictures,
        training_accuracy=last.accuracy,
        held_out=last.held_out,
        weights=weights,
        test_set=test_set,
    )


def write_result(result: Result, path: Path) -> None:
    """Writes it as JSON."""
    write_text(json.dumps(asdict(result)) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Writes a text file; a reader sees the old one or the new one."""
    write_atomically(path, text.encode(), parents=True)


def read_result(path: Path) -> Result | None:
    """What `write_result` wrote, or None if there is no such file.

    Raises:
        InputError: it holds something else.
    """
    if not path.exists():
        return None
    try:
        return Result(**json.loads(path.read_text()))
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"{path} is no result of a training, or damaged") from error


def milliseconds(one_bit: Network, twin: Network, size: int, batch: int = 1) -> dict[str, float]:
    """Time of a picture through each network, without gradients, in turns on this machine.

    Args:
        one_bit: settled or not; on packed bits where Numba is there, else in floats too.
        size: side of the pictures in pixels.
        batch: pictures at a time.
    Returns:
        medians, in milliseconds a picture, of "one-bit" and "float".
    """
    images = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    if find_spec("numba") is not None:
        from ..engine.freeze import freeze

        one_bit = freeze(one_bit)
    contestants = {}
    with torch.no_grad():
        for name, network in (("one-bit", one_bit.eval()), ("float", twin.eval())):
            contestants[name] = looped(lambda net=network: net(images, ["logits"]))  # type: ignore[misc]
        times = interleaved(contestants, REPETITIONS)
    return {name: 1000 * each.median / batch for name, each in times.items()}


def table(
    networks: Mapping[str, Network],
    results: Mapping[str, Result | None],
    times: Mapping[int, Mapping[str, float]],
    size: int,
) -> str:
    """The two beside each other, as a table in Markdown.

    Args:
        networks: "one-bit" and "float".
        results: of those that were trained, and can be compared.
        times: for numbers of pictures at a time, milliseconds of each network.
        size: side of the pictures in pixels.
    """
    names = ("one-bit", "float")
    summaries = {name: summarise(networks[name], size) for name in names}
    sizes = {name: summaries[name].mib for name in names}
    rows = [
        ["parameters", *(f"{summaries[name].parameters:,}" for name in names)],
        ["of them one-bit", *(f"{summaries[name].weights.get(1, 0):,}" for name in names)],
        ["bytes of weights", *(f"{sizes[name] * 2**20:,.0f}" for name in names)],
        ["smaller by", f"{sizes['float'] / sizes['one-bit']:.1f}", "1"],
    ]
    for title, cell in (
        ("epochs done", _epochs),
        ("hours", lambda result: f"{result.hours:.2f}"),
        ("test accuracy, last step", _tested),
        ("training accuracy, last point", lambda result: f"{result.training_accuracy:.1%}"),
    ):
        rows.append([title, *(_cell(results.get(name), cell) for name in names)])
    for batch, each in times.items():
        title = f"ms a picture, {batch} at a time (threads: {torch.get_num_threads()})"
        rows.append([title, *(f"{each[name]:.2f}" for name in names)])
    lines = ["| | one-bit | float |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _cell(result: Result | None, cell: object) -> str:
    assert callable(cell)
    return "no result" if result is None else str(cell(result))


def _epochs(result: Result) -> str:
    planned = "" if result.planned is None else f" of {result.planned}"
    return f"{round(result.epochs, 2):g}{planned} ({result.recipe})"


def _tested(result: Result) -> str:
    low, high = result.score.interval()
    return f"{result.score.accuracy:.1%} ({low:.1%} to {high:.1%})"
