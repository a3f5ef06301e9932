"""What is chosen on some pairs and measured on another."""

from __future__ import annotations

from pathlib import Path

from bitbrush.lab.left_out import best, on_pairs_left_out
from bitbrush.lab.plan import Sources

A, B, C = (Sources(Path(name), "style.png") for name in "abc")


def test_a_pair_is_measured_by_what_is_best_elsewhere() -> None:
    scores = {"steady": {A: 0.5, B: 0.5, C: 0.5}, "lucky": {A: 0.01, B: 0.9, C: 0.9}}
    assert best(scores) == "lucky"
    assert best(scores, without=A) == "steady"
    assert on_pairs_left_out(scores) == [0.5, 0.9, 0.9]


def test_a_pair_that_lacks_the_best_one_is_left_out() -> None:
    scores = {"good": {B: 0.5, C: 0.5}, "poor": {A: 0.9, B: 0.9, C: 0.9}}
    assert on_pairs_left_out(scores) == [0.5, 0.5]
    assert on_pairs_left_out({"good": {A: 0.5}, "poor": {A: 0.9}}) == []
