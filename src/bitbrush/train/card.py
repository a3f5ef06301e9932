"""Model cards: what a network was trained on, how, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..networks.summary import summarise
from ..networks.taps import Network
from ..weights.download import file_sha256
from .distil import Recipe

POINTS = 12
"""Rows of the curve that a card shows."""


@dataclass(frozen=True)
class Report:
    """What a card is made from.

    Attributes:
        command: that trained the network.
        data: names of the sources.
        pictures: how many these gave, and how many were like those that the network is judged by.
        curve: points with "pictures", "seconds" and the unexplained share of each layer.
    """

    network: Network
    command: str
    data: Sequence[str]
    pictures: tuple[int, int]
    teachers: Sequence[str]
    recipe: Recipe
    curve: Sequence[Mapping[str, Any]]


def write_card(report: Report, weights: Path, path: Path) -> None:
    """Writes the card of a weight file as Markdown."""
    summary = summarise(report.network)
    count, left_out = report.pictures
    recipe = ", ".join(
        f"{field.name.replace('_', ' ')} {getattr(report.recipe, field.name)}"
        for field in fields(report.recipe)
    )
    lines = [
        f"# {report.network.name}",
        "",
        f"- file: {weights.name}, {weights.stat().st_size} bytes, SHA-256 `{file_sha256(weights)}`",
        f"- parameters: {summary.parameters:,}, one-bit {summary.one_bit_share:.1%}",
        f"- data: {', '.join(report.data)}, {count:,} pictures after leaving out the unreadable, "
        f"those below 128 px, and {left_out} like those that it is judged by",
        f"- teachers: {', '.join(report.teachers)}",
        f"- recipe: {recipe}; Adam, linear warm-up, cosine to zero, latent weights clipped",
        f"- command: `{report.command}`",
        "- licence: MIT",
        "",
        "Share of the teacher's variance that is not linear in the taps (means of 50 batches):",
        "",
    ]
    layers = [key for key in report.curve[-1] if key not in ("pictures", "seconds")]
    lines.append("| pictures | " + " | ".join(layers) + " |")
    lines.append("|" + " --- |" * (len(layers) + 1))
    stride = max(len(report.curve) // POINTS, 1)
    shown = [*report.curve[stride - 1 :: stride]]
    if shown[-1] is not report.curve[-1]:
        shown.append(report.curve[-1])
    for point in shown:
        shares = " | ".join(f"{point[layer]:.3f}" for layer in layers)
        lines.append(f"| {point['pictures']:,} | {shares} |")
    path.write_text("\n".join(lines) + "\n")
