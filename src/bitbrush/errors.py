"""Every failure a user can cause is one of these, and says what was wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class BitbrushError(Exception):
    """Base of all errors that bitbrush raises on purpose. Its text is one line for the user."""


class InputError(BitbrushError):
    """What was asked for cannot be done: a bad file, name, value or combination (exit code 2)."""


class NetworkMissingError(InputError):
    """A network's weights are not on this machine; the text holds the command that gets them."""


class PaintingError(BitbrushError):
    """A painting went wrong on the way, for instance through a loss that is no number.

    Attributes:
        picture: the last good picture, RGB [1, 3, H, W] in [0, 1], where there is one.
    """

    picture: Any = None


LISTED = 40
"""Names that an error can list."""

ALIKE, REMOTELY_ALIKE = 0.6, 0.4
"""Shares of a name that have to agree for it to be suggested; less where not all can be listed."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An error for a name that does not exist, suggesting the nearest one that does.

    Args:
        kind: what the name was meant to be, such as "network" or "tap".
        name: what the user wrote.
        known: the names that exist, in the order in which to list them.
    Returns:
        the error, to be raised by the caller; it lists the names where none is like that one.
    """
    names = list(known)
    alike = ALIKE if len(names) <= LISTED else REMOTELY_ALIKE
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=alike)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "known: " + ", ".join(names)
    return InputError(f"unknown {kind} {name!r}; {hint}")
