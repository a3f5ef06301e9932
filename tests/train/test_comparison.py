"""Results as files, and which of them belong together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.train.classifier import Point, Score
from bitbrush.train.comparison import Result, read_result, result_of, write_result

LAST = Point(
    step=8,
    epoch=2.0,
    seconds=36.0,
    learning_rate=0.0,
    loss=1.0,
    accuracy=0.5,
    held_out=None,
    flip_ratio=None,
)


def result() -> Result:
    return result_of("better", 1.0, 2, 50, LAST, Score(3, 10), "weights", "pictures")


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "result.json"
    assert read_result(path) is None
    write_result(result(), path)
    assert read_result(path) == result() and result().hours == 0.01
    path.write_text("{}")
    with pytest.raises(InputError, match="no result of a training, or damaged"):
        read_result(path)


def test_what_belongs_to_a_result() -> None:
    assert result().is_of("weights", "pictures")
    assert not result().is_of("others", "pictures") and not result().is_of("weights", "others")
    assert result().compares(1.0, "pictures")
    assert not result().compares(0.5, "pictures") and not result().compares(1.0, "others")


def test_an_older_result_that_tells_less(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_result(result(), path)
    told = json.loads(path.read_text())
    del told["weights"], told["test_set"]
    path.write_text(json.dumps(told))
    older = read_result(path)
    assert older is not None and older.score == Score(3, 10)
    assert older.compares(1.0, "pictures") and not older.is_of("weights", "pictures")
