"""What a laboratory of many paintings costs beside the painting, and what it keeps.

    python benchmarks/scale.py crews [--few 5] [--many 35] [-o scale.json]
    python benchmarks/scale.py kept FOLDER

`crews` paints plans of tiny paintings (48 px, 2 steps, no judge), each in a new process: a few and
many, by one process, by several, and on a Ray cluster of this machine. The difference of the two
leaves out what is spent once. `kept` says how large the files of a laboratory are, for each
painting, and how much memory what was found of one takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer
from PIL import Image

from bitbrush.atomic import write_atomically
from bitbrush.bench.machine import cpu_name
from bitbrush.lab.plan import Cell, Sources
from bitbrush.lab.runner import Laboratory
from bitbrush.styles import render_style

CREWS: dict[str, dict[str, Any]] = {
    "one process": {},
    "--workers 2": {"workers": 2},
    "--ray local --workers 2": {"workers": 2, "ray": "local"},
}
SIZE, STEPS = 48, 2

app = typer.Typer(help="What a laboratory of many paintings costs.", no_args_is_help=True)


@app.command(hidden=True)
def one(crew: str, count: int, folder: Path) -> None:
    """Paints so many with one of the crews; prints what they and going on with them took."""
    settings = {"network": "quickbrush", "size": SIZE, "steps": STEPS, "threads": 1}
    sources = Sources(folder / "content.png", str(folder / "style.png"))
    cells = [Cell(sources, {**settings, "seed": seed}) for seed in range(count)]
    own = folder / f"{crew} {count}"
    rows = Laboratory(own, None, **CREWS[crew]).rows(cells, lambda done, note: None)
    started = time.monotonic()
    Laboratory(own, None).rows(cells, lambda done, note: None)
    told = {name: sum(row.found[name] for row in rows) for name in ("seconds", "seconds_to_load")}
    print(json.dumps(told | {"going_on": time.monotonic() - started}))


def run(crew: str, count: int, folder: Path) -> dict[str, float]:
    """As `one` tells, in a process of its own, with the seconds that all of it took."""
    command = [sys.executable, __file__, "one", "--", crew, str(count), str(folder)]
    started = time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told | {"wall": time.monotonic() - started - told["going_on"]}


def cost(crew: str, few: int, many: int, folder: Path) -> dict[str, float]:
    """Seconds: once, and for each painting."""
    short, long = run(crew, few, folder), run(crew, many, folder)
    each = {name: (long[name] - short[name]) / (many - few) for name in long}
    painter = CREWS[crew].get("workers", 1) * each["wall"]
    return {
        "start": short["wall"] - few * each["wall"],
        "each": each["wall"],
        "painter": painter,
        "loading": each["seconds_to_load"],
        "painting": each["seconds"],
        "overhead": painter - each["seconds"] - each["seconds_to_load"],
        "going_on": long["going_on"] / many,
    }


@app.command()
def crews(
    few: Annotated[int, typer.Option(min=1, help="Paintings of the short plan.")] = 5,
    many: Annotated[int, typer.Option(min=2, help="Paintings of the long plan.")] = 35,
    output: Annotated[Path | None, typer.Option("-o", help="JSON to write.")] = None,
) -> None:
    """Time plans of tiny paintings by one process, several, and a cluster."""
    if few >= many:
        raise typer.BadParameter("--few is below --many")
    found = {}
    print(f"{cpu_name()}; {few} and {many} paintings of {SIZE} px and {STEPS} steps\n")
    print("| crew | start, s | s a painting | painter's s | loading | painting | overhead |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, style in (("content", "pointillism"), ("style", "waves")):
            Image.fromarray(render_style(style, 256)).save(folder / f"{kind}.png")
        run("one process", 1, folder)  # compiles what is not compiled yet
        for crew in CREWS:
            figures = found[crew] = cost(crew, few, many, folder)
            shown = (figures[k] for k in ("each", "painter", "loading", "painting", "overhead"))
            parts = " | ".join(f"{seconds:.3f}" for seconds in shown)
            print(f"| {crew} | {figures['start']:.1f} | {parts} |", flush=True)
    going_on = fmean(figures["going_on"] for figures in found.values())
    print(f"\nGoing on with a plan that is painted: {1e3 * going_on:.2f} ms a painting")
    if output is not None:
        told = {"cpu": cpu_name(), "few": few, "many": many, "crews": found}
        write_atomically(output, json.dumps(told, indent=1).encode())


@app.command()
def kept(folder: Annotated[Path, typer.Argument(help="Of a laboratory.")]) -> None:
    """Print what a laboratory keeps of each painting, in bytes."""
    records = sorted((folder / "paintings").glob("*.json"))
    if not records:
        raise typer.BadParameter(f"there are no paintings in {folder}")
    pictures = [path.stat().st_size for path in (folder / "paintings").glob("*.png")]
    texts = [path.read_text(encoding="utf-8") for path in records]
    tracemalloc.start()
    held = [json.loads(text) for text in texts]
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{len(held)} paintings; bytes of each, in the mean\n")
    print(f"picture {fmean(pictures):,.0f}")
    print(f"record  {fmean(len(text.encode()) for text in texts):,.0f}")
    for name in ("results.parquet", "report.html"):
        path = folder / name
        if path.exists():
            print(f"{name} {path.stat().st_size / len(held):,.0f}")
    print(f"what was found, in memory {memory / len(held):,.0f}")


if __name__ == "__main__":
    app()
