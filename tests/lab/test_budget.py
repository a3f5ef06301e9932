"""Budgets of paintings and of time."""

from __future__ import annotations

import math

import pytest

from bitbrush.errors import InputError
from bitbrush.lab.budget import Budget, parse_budget


@pytest.mark.parametrize(
    ("text", "paintings", "seconds"),
    [
        ("200", 200, math.inf),
        ("90m", math.inf, 5400),
        ("2h", math.inf, 7200),
        ("0.5s", math.inf, 0.5),
    ],
)
def test_budgets(text: str, paintings: float, seconds: float) -> None:
    assert parse_budget(text) == Budget(paintings, seconds)


@pytest.mark.parametrize("text", ["", "0", "-3", "1.5", "90 min", "1d", "h"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(InputError, match="90m"):
        parse_budget(text)
