"""What a lesson found, as data: verdicts, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["confirmed", "refuted", "mixed", "not tested"]


@dataclass(frozen=True)
class Verdict:
    """A claim and what the paintings say of it.

    Attributes:
        claim: as one sentence.
        outcome: "not tested" where no painting could tell.
        evidence: the figures behind it; of what was not tested, why.
        command: that would test it; empty where it was.
    """

    claim: str
    outcome: Outcome
    evidence: str
    command: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of figures under titles; None is an empty cell."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        svg: the plot itself.
    """

    title: str
    svg: bytes
    note: str = ""


@dataclass(frozen=True)
class Findings:
    """Everything a report says beside its pictures."""

    verdicts: Sequence[Verdict] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = field(default_factory=tuple)
