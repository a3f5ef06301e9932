"""Style distance at equal content distance: two contestants on the same pairs, by one judge.

    python benchmarks/quality.py IMAGES -o FOLDER quickbrush vgg19-16x
    python benchmarks/quality.py IMAGES -o FOLDER --set tuning "quickbrush --roll 0" quickbrush

A contestant is a network's name with any options of `bitbrush paint`. IMAGES holds the folders
`content` and `style` with the pictures that the list of pairs names. Every painting is made in a
process of its own and kept in FOLDER with what it took; one that is there is not painted again, so
an interrupted run continues. Written at the end: FOLDER/quality.json, plot.png and sheet.jpg.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from studio import INDICES, PAIRS, SHOWN, Studio

from bitbrush import __version__
from bitbrush.cli.progress import progress
from bitbrush.images import read_image, write_image
from bitbrush.lab.frontier import Frontier, compared, overlap, ratio
from bitbrush.lab.judge import Distances, Judge
from bitbrush.lab.pairs import Pair, PairSets
from bitbrush.lab.plot import plot_panels
from bitbrush.lab.sheet import contact_sheet
from bitbrush.lab.widening import WEIGHTS, frontiers


def main(
    images: Annotated[Path, typer.Argument(help="Folder with content/ and style/.")],
    one: Annotated[str, typer.Argument(help="A network, with options of `bitbrush paint`.")],
    other: Annotated[str, typer.Argument(help="What it is compared with.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for all that is made.")],
    pairs: Annotated[Path, typer.Option(help="The list of pairs.")] = PAIRS,
    which: Annotated[str, typer.Option("--set", help="tuning or test.")] = "test",
    judge: Annotated[str, typer.Option(help="The judge.")] = "squeezenet",
    size: Annotated[int, typer.Option(help="Long edge in pixels.")] = 512,
    count: Annotated[int | None, typer.Option(help="Only so many pairs, for a trial.")] = None,
    workers: Annotated[int, typer.Option(help="Paintings at a time.")] = 1,
    beside: Annotated[list[str], typer.Option(help="One more for the sheet alone.")] = [],  # noqa: B006
) -> None:
    """Compare two contestants."""
    if which not in ("tuning", "test"):
        raise typer.BadParameter("--set is tuning or test")
    output.mkdir(parents=True, exist_ok=True)
    chosen = getattr(PairSets.read(pairs), which)[:count]
    studio = Studio(images, output, Judge.load(judge), size, workers)
    rows = []
    with progress("painting and judging", len(chosen)) as bar:
        for done, pair in enumerate(chosen, 1):
            for contestant in (one, other):
                studio.paint_ahead(contestant, [pair], WEIGHTS)
            rows.append(_row(studio, pair, one, other))
            bar.update(done, pair.name)
    ratios = [row["ratio"] for row in rows if row["ratio"] is not None]
    if not ratios:
        sys.exit("no pair's frontiers overlap: nothing can be compared")
    total = compared(ratios)
    result = {
        "one": one,
        "other": other,
        "judge": judge,
        "set": which,
        "size": size,
        "comparison": asdict(total),
        "pairs": rows,
    }
    (output / "quality.json").write_text(json.dumps(result, indent=1))
    _plot(rows, judge, output / "plot.png")
    for name in beside:
        studio.paint_ahead(name, chosen, [SHOWN])
    _sheet(studio, chosen, (one, other, *beside), output / "sheet.jpg")
    _print(rows, result)


def _row(studio: Studio, pair: Pair, one: str, other: str) -> dict[str, Any]:
    found = frontiers(lambda name, weight: studio.judged(pair, name, weight), one, other)
    first, second = (Frontier.of(list(found[name].values())) for name in (one, other))
    shared = overlap(first, second)
    took = {name: [studio.paint(pair, name, weight) for weight in WEIGHTS] for name in (one, other)}
    return {
        "pair": pair.name,
        "ratio": None if shared is None else ratio(first, second),
        "overlap": shared,
        "points": {
            name: [{"weight": weight, **asdict(each)} for weight, each in sorted(points.items())]
            for name, points in found.items()
        },
        "artefacts": {name: studio.faults(pair, name, SHOWN) for name in (one, other)},
        "seconds": {
            name: statistics.median(each["seconds"] for each in all_) for name, all_ in took.items()
        },
        "peak_mb": {name: max(each["peak_rss_mb"] for each in all_) for name, all_ in took.items()},
    }


def _plot(rows: list[dict[str, Any]], judge: str, path: Path) -> None:
    panels = {
        row["pair"]: {
            name: [Distances(point["style"], point["content"]) for point in points]
            for name, points in row["points"].items()
        }
        for row in rows
    }
    plot_panels(panels, judge, path)


def _sheet(studio: Studio, pairs: list[Pair], names: tuple[str, ...], path: Path) -> None:
    rows = []
    for pair in pairs:
        row = [(read_image(file).rgb, file.stem) for file in studio.sources(pair)]
        row += [(read_image(studio.file(pair, name, SHOWN)).rgb, name) for name in names]
        rows.append(row)
    write_image(contact_sheet(rows), path, {"bitbrush": __version__, "command": "quality"})


def _print(rows: list[dict[str, Any]], result: dict[str, Any]) -> None:
    names = (result["one"], result["other"])
    print(f"| pair | style at equal content, {names[0]} / {names[1]} | s | MB |")
    print("| --- | --- | --- | --- |")
    for row in rows:
        value = "no overlap" if row["ratio"] is None else f"{row['ratio']:.3f}"
        seconds = " / ".join(f"{row['seconds'][name]:.1f}" for name in names)
        memory = " / ".join(f"{row['peak_mb'][name]:.0f}" for name in names)
        print(f"| {row['pair']} | {value} | {seconds} | {memory} |")
    total = result["comparison"]
    print(
        f"| geometric mean | {total['mean']:.3f} ({total['low']:.3f} to {total['high']:.3f}) | | |"
    )
    print("\n| index | " + " | ".join(f"{name}, median" for name in names) + " | ratio |")
    print("| --- | --- | --- | --- |")
    for index in INDICES:
        found = [[row["artefacts"][name][index] for row in rows] for name in names]
        medians = " | ".join(f"{statistics.median(each):.2f}" for each in found)
        both = compared([ours / theirs for ours, theirs in zip(*found, strict=True)])
        print(f"| {index.replace('_', ' ')} | {medians} | {both.text()} |")


if __name__ == "__main__":
    typer.run(main)
