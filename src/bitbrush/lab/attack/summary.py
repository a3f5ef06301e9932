"""What a folder of attacked pictures adds up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ...classify import imagenet_classes
from ...shares import wilson

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Rate:
    """So many of so many."""

    hits: int
    count: int

    @classmethod
    def of(cls, hits: Sequence[bool]) -> Rate:
        return cls(sum(hits), len(hits))

    def text(self) -> str:
        """In per cent with the 95 % interval; nothing of none."""
        if self.count == 0:
            return "–"
        low, high = wilson(self.hits, self.count)
        share = 100 * self.hits / self.count
        return f"{share:.0f} % ({100 * max(low, 0):.0f} to {100 * min(high, 1):.0f})"

    def as_json(self) -> dict[str, Any]:
        """Of plain values."""
        low, high = wilson(self.hits, self.count) if self.count else (None, None)
        return {"hits": self.hits, "count": self.count, "low": low, "high": high}


@dataclass(frozen=True)
class AttackSummary:
    """Of one attack over a folder.

    Attributes:
        success: of all pictures.
        right_before: the same of those that the network had named rightly; None where no file
            tells its class.
        confidence: mean probability of the answer where it succeeded; None where it never did.
        l2, linf, content: mean distances to the clean pictures.
        seconds: mean, for one picture.
    """

    success: Rate
    right_before: Rate | None
    confidence: float | None
    linf: float
    l2: float
    content: float | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Of plain values."""
        before = None if self.right_before is None else self.right_before.as_json()
        return {
            "success": self.success.as_json(),
            "right_before": before,
            "confidence": self.confidence,
            "linf": self.linf,
            "l2": self.l2,
            "content": self.content,
            "seconds": self.seconds,
        }


def attackable(rows: Sequence[Row], target: int | None) -> list[Row]:
    """Rows of pictures that were not answered as wanted from the beginning."""
    return [row for row in rows if not _wanted(row["before"][0]["wordnet_id"], target)]


def wanted_before(row: Row, network: str, target: int | None) -> bool:
    """Whether another network gave the wanted answer to the clean picture.

    Not known of rows of older releases, which do not hold its answer: False.
    """
    return _wanted(row.get("transfer_before", {}).get(network), target)


def _wanted(wordnet_id: str | None, target: int | None) -> bool:
    return target is not None and wordnet_id == imagenet_classes()[target][0]


def named_rightly(row: Row) -> bool:
    """Whether the network's first answer was the class that the file is named by."""
    return row["label"] is not None and row["before"][0]["wordnet_id"] == row["label"]


def summarise(rows: Sequence[Row]) -> dict[str, AttackSummary]:
    """For each attack what it did; rows must be of one plan, and at least one."""
    labelled = any(row["label"] is not None for row in rows)
    found = {}
    for name in rows[0]["attacks"]:
        told = [row["attacks"][name] for row in rows]
        right = [row["attacks"][name]["success"] for row in rows if named_rightly(row)]
        sure = [one["probability"] for one in told if one["success"]]
        contents = [one["content"] for one in told if one["content"] is not None]
        found[name] = AttackSummary(
            success=Rate.of([one["success"] for one in told]),
            right_before=Rate.of(right) if labelled else None,
            confidence=fmean(sure) if sure else None,
            linf=fmean(one["linf"] for one in told),
            l2=fmean(one["l2"] for one in told),
            content=fmean(contents) if contents else None,
            seconds=fmean(one["seconds"] for one in told),
        )
    return found


def transferred(rows: Sequence[Row], target: int | None) -> dict[str, dict[str, Rate]]:
    """For each other network and attack how often the aim was reached there too.

    Of the pictures that the other network did not answer as wanted from the beginning.
    """
    found = {}
    for network in rows[0]["transfer"]:
        told = [row["transfer"][network] for row in rows if not wanted_before(row, network, target)]
        found[network] = {name: Rate.of([one[name] for one in told]) for name in rows[0]["attacks"]}
    return found


@dataclass(frozen=True)
class Control:
    """One control over a folder.

    Attributes:
        first: pictures that the first try alone had.
        all: pictures that any of its tries had.
        steps: mean over the pictures, all tries of each counted.
        blocked: share of gradients that were 0 everywhere.
    """

    first: Rate
    all: Rate
    steps: float
    blocked: float

    def as_json(self) -> dict[str, Any]:
        """Of plain values."""
        return {
            "first": self.first.as_json(),
            "all": self.all.as_json(),
            "steps": self.steps,
            "blocked": self.blocked,
        }


def controls(rows: Sequence[Row]) -> dict[str, Control]:
    """For each control what it did."""
    found = {}
    for name in rows[0]["controls"]:
        told = [row["controls"][name] for row in rows]
        steps = sum(one["steps"] for one in told)
        found[name] = Control(
            first=Rate.of([one["success"] and one["restart"] == 0 for one in told]),
            all=Rate.of([one["success"] for one in told]),
            steps=steps / len(told),
            blocked=sum(one["blocked"] for one in told) / steps if steps else 0.0,
        )
    return found
