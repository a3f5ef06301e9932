"""Verdicts from what was found of each network."""

from __future__ import annotations

from collections.abc import Mapping

from .findings import Outcome, Verdict


def all_or_none(
    claim: str, holds: Mapping[str, bool | None], evidence: Mapping[str, str], command: str
) -> Verdict:
    """Confirmed if it holds of every network, refuted if of none, else mixed.

    Args:
        holds: by network, None where its paintings do not tell; empty: nothing could be said.
        evidence: a few words on each network.
        command: that tests it, where nothing could be said.
    """
    if not holds:
        return Verdict(claim, "not tested", "no network of that kind was painted with", command)
    outcome: Outcome = "mixed"
    if len(set(holds.values())) == 1 and None not in holds.values():
        outcome = "confirmed" if next(iter(holds.values())) else "refuted"
    told = "; ".join(f"{name}: {evidence[name]}" for name in holds if name in evidence)
    return Verdict(claim, outcome, told)
