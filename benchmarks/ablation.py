"""Many settings of one network against its present ones, on the tuning pairs.

    python benchmarks/ablation.py IMAGES benchmarks/ablations.json -o FOLDER

The list holds a network, options that all have (`base`), and for each variant what is tried and its
own options of `bitbrush paint`; `also` names a list beside it that is tried too, so that networks
can share one. The first row is the base alone.
Paintings are kept in FOLDER, as `quality.py` does. Written at the end:
FOLDER/ablation.md, a table, and FOLDER/sheet.jpg, all variants side by side.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from studio import INDICES, PAIRS, SHOWN, Studio, evenly

from bitbrush import __version__
from bitbrush.cli.progress import progress
from bitbrush.images import read_image, write_image
from bitbrush.lab.frontier import Comparison, Frontier, compared, overlap, ratio
from bitbrush.lab.judge import Judge
from bitbrush.lab.pairs import Pair, PairSets
from bitbrush.lab.sheet import contact_sheet

WEIGHTS = (0.03, SHOWN, 1.0)
"""Content weights of a variant's frontier."""


@dataclass(frozen=True)
class Variant:
    """What is tried.

    Attributes:
        what: in a few words.
        options: of `bitbrush paint`; none: the present settings.
    """

    what: str
    options: str

    def contestant(self, network: str) -> str:
        """As `Studio` knows it."""
        return f"{network} {self.options}".strip()


@dataclass(frozen=True)
class Row:
    """What came of a variant.

    Attributes:
        comparison: style distance at equal content distance against the present settings; None
            where no pair's frontiers overlap.
        indices: medians of the artefacts.
        seconds: median of a painting.
    """

    variant: Variant
    comparison: Comparison | None
    indices: dict[str, float]
    seconds: float


def main(
    images: Annotated[Path, typer.Argument(help="Folder with content/ and style/.")],
    variants: Annotated[Path, typer.Argument(help="The list of variants, JSON.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for all that is made.")],
    pairs: Annotated[Path, typer.Option(help="The list of pairs.")] = PAIRS,
    judge: Annotated[str, typer.Option(help="The judge.")] = "squeezenet",
    size: Annotated[int, typer.Option(help="Long edge in pixels.")] = 256,
    count: Annotated[int | None, typer.Option(help="Only so many pairs, evenly spread.")] = None,
    workers: Annotated[int, typer.Option(help="Paintings at a time.")] = 1,
) -> None:
    """Try variants of a network's settings."""
    network, tried = _read(variants)
    chosen = evenly(PairSets.read(pairs).tuning, count)
    output.mkdir(parents=True, exist_ok=True)
    studio = Studio(images, output, Judge.load(judge), size, workers)
    rows: list[Row] = []
    first: list[Frontier] = []
    with progress("painting and judging", len(tried) * len(chosen)) as bar:
        for variant in tried:
            contestant = variant.contestant(network)
            found = []
            studio.paint_ahead(contestant, chosen, WEIGHTS)
            for pair in chosen:
                points = [studio.judged(pair, contestant, weight) for weight in WEIGHTS]
                found.append(Frontier.of(points))
                bar.update(len(rows) * len(chosen) + len(found), variant.what)
            first = first or found
            rows.append(_row(studio, chosen, variant, contestant, found, first))
            (output / "ablation.md").write_text(_table(rows), encoding="utf-8")
    _sheet(studio, chosen, network, tried, output / "sheet.jpg")
    print(_table(rows))


def _read(path: Path) -> tuple[str, list[Variant]]:
    held = json.loads(path.read_text(encoding="utf-8"))
    listed = list(held["variants"])
    if "also" in held:
        listed += json.loads((path.parent / held["also"]).read_text(encoding="utf-8"))["variants"]
    base = held.get("base", "")
    tried = [Variant(each["what"], f"{base} {each['options']}".strip()) for each in listed]
    return held["network"], [Variant("present settings", base), *tried]


def _row(
    studio: Studio,
    pairs: Sequence[Pair],
    variant: Variant,
    contestant: str,
    found: Sequence[Frontier],
    base: Sequence[Frontier],
) -> Row:
    both = [(one, other) for one, other in zip(found, base, strict=True) if overlap(one, other)]
    faults = [studio.faults(pair, contestant, SHOWN) for pair in pairs]
    took = [studio.paint(pair, contestant, weight) for pair in pairs for weight in WEIGHTS]
    return Row(
        variant,
        compared([ratio(*pair) for pair in both]) if both else None,
        {index: statistics.median(each[index] for each in faults) for index in INDICES},
        statistics.median(each["seconds"] for each in took),
    )


def _table(rows: Sequence[Row]) -> str:
    titles = ["variant", "options", "style at equal content"]
    titles += [index.replace("_", " ") for index in INDICES] + ["s"]
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    for row in rows:
        found = row.comparison
        value = "no overlap" if found is None else found.text(3)
        cells = [row.variant.what, f"`{row.variant.options}`" if row.variant.options else "", value]
        cells += [f"{row.indices[index]:.2f}" for index in INDICES] + [f"{row.seconds:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _sheet(
    studio: Studio, pairs: Sequence[Pair], network: str, tried: Sequence[Variant], path: Path
) -> None:
    rows = []
    for variant in tried:
        contestant = variant.contestant(network)
        rows.append(
            [(read_image(studio.file(pair, contestant, SHOWN)).rgb, variant.what) for pair in pairs]
        )
    write_image(contact_sheet(rows), path, {"bitbrush": __version__, "command": "ablation"})


if __name__ == "__main__":
    typer.run(main)
