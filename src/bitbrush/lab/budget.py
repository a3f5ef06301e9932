"""How much a laboratory may paint: so many paintings, or so long."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..errors import InputError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Budget:
    """A limit; nothing is begun beyond it.

    Attributes:
        paintings: that are made or were there already.
        seconds: from the start of this run.
    """

    paintings: float = math.inf
    seconds: float = math.inf


def parse_budget(text: str) -> Budget:
    """From `200` (paintings) or `30s`, `90m`, `2h`.

    Raises:
        InputError: the text is neither.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh]?)", text.strip())
    number = float(found[1]) if found else 0.0
    if not found or number <= 0 or (not found[2] and number != int(number)):
        raise InputError(f"a budget is a number of paintings, or a time as 90m or 2h, not {text!r}")
    return Budget(seconds=number * _UNITS[found[2]]) if found[2] else Budget(paintings=number)
