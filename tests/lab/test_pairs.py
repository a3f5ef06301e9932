"""Two sets of pairs that share nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.lab.pairs import COUNT, PairSets, draw_pairs

CONTENTS = [f"content{n}.jpg" for n in range(10)]
STYLES = [f"style{n}.jpg" for n in range(14)]
PAIRS = Path(__file__).parents[2] / "benchmarks" / "pairs.json"


def assert_apart(sets: PairSets) -> None:
    for part in ("content", "style"):
        tuning, test = (
            {getattr(pair, part) for pair in pairs} for pairs in (sets.tuning, sets.test)
        )
        assert not tuning & test
    for pairs in (sets.tuning, sets.test):
        assert len(set(pairs)) == len(pairs) == COUNT


@pytest.mark.parametrize("seed", range(5))
def test_sets_share_neither_content_nor_style(seed: int) -> None:
    sets = draw_pairs(CONTENTS, STYLES, seed)
    assert_apart(sets)
    assert sets == draw_pairs(CONTENTS[::-1], STYLES[::-1], seed)


def test_the_seed_decides() -> None:
    assert draw_pairs(CONTENTS, STYLES, 1) != draw_pairs(CONTENTS, STYLES, 2)


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    sets = draw_pairs(CONTENTS, STYLES, 3)
    file = tmp_path / "pairs.json"
    file.write_text(sets.as_text())
    assert PairSets.read(file) == sets
    assert sets.test[0].name == Path(sets.test[0].content).stem + "+" + (
        Path(sets.test[0].style).stem
    )


def test_those_that_are_used_are_sound() -> None:
    sets = PairSets.read(PAIRS)
    assert_apart(sets)
    contents = {pair.content for pair in (*sets.tuning, *sets.test)}
    assert len(contents) <= 10


def test_too_few_and_unreadable_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too few"):
        draw_pairs(CONTENTS[:4], STYLES[:4], 0)
    (tmp_path / "none.json").write_text('{"tuning": 3}')
    for name in ("none.json", "missing.json"):
        with pytest.raises(InputError, match="list of pairs"):
            PairSets.read(tmp_path / name)
