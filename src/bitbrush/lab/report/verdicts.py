"""Verdicts from what was found of each network."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .findings import Outcome, Verdict


def outcome(holds: bool | None) -> Outcome:
    """In a word; None is what paintings do not tell."""
    return "mixed" if holds is None else "confirmed" if holds else "refuted"


def opposite(holds: bool | None) -> bool | None:
    """Whether the contrary holds."""
    return None if holds is None else not holds


def all_or_none(
    claim: str,
    of: Collection[str],
    holds: Mapping[str, bool | None],
    evidence: Mapping[str, str],
    command: str,
) -> Verdict:
    """Confirmed if it holds of every network that was compared, refuted if of none, else mixed.

    Args:
        of: the networks that the claim is of.
        holds: by network, perhaps with others, None where its paintings do not tell; those that
            could not be compared at all are not among them.
        evidence: a few words on each network of `holds`.
        command: that tests it, where nothing could be said.
    """
    if not of:
        return Verdict(
            claim, "not tested", "no weights: no trained network of that kind painted", command
        )
    found = {holds[name] for name in of if name in holds}
    if not found:
        reason = "no paintings that can be compared: they are not there, not judged, or beyond a "
        return Verdict(claim, "not tested", f"{', '.join(of)}: {reason}frontier's reach", command)
    told = "; ".join(f"{name}: {evidence.get(name, 'not compared')}" for name in of)
    return Verdict(claim, outcome(found.pop() if len(found) == 1 else None), told)
