"""Processes that measure for this one: results, progress, and both kinds of failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import bitbrush
from bitbrush.bench.workers import run_worker
from bitbrush.errors import BitbrushError, InputError

WORKER = """
from bitbrush.bench.workers import serve
from bitbrush.errors import InputError

def measure(request, advance):
    advance(0.5, "half")
    if request["do"] == "refuse":
        raise InputError("not with that picture")
    if request["do"] == "break":
        raise ArithmeticError("nothing left")
    if request["do"] == "die":
        raise SystemExit(3)
    return {"twice": 2 * request["number"]}

serve(measure)
"""


@pytest.fixture(autouse=True)
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `measuring`, and the package that is tested, where a new process finds them."""
    (tmp_path / "measuring.py").write_text(WORKER)
    source = Path(bitbrush.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(source)]))


def test_the_result_and_the_progress_come_back() -> None:
    told = []
    result = run_worker("measuring", {"do": "work", "number": 21}, lambda *each: told.append(each))
    assert result == {"twice": 42} and told == [(0.5, "half")]


def test_what_the_user_can_put_right_is_an_input_error() -> None:
    with pytest.raises(InputError, match="^not with that picture$"):
        run_worker("measuring", {"do": "refuse"})


@pytest.mark.parametrize(("do", "why"), [("break", "nothing left"), ("die", "exit code 3")])
def test_a_breakdown_is_ours(do: str, why: str) -> None:
    with pytest.raises(BitbrushError, match=why) as caught:
        run_worker("measuring", {"do": do})
    assert not isinstance(caught.value, InputError)
