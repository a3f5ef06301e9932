"""`bitbrush networks` and `bitbrush summary`: what there is to paint with, and what it weighs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import app

if TYPE_CHECKING:
    from ..networks.summary import LayerSummary, Summary
    from ..networks.taps import Network

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def networks(as_json: AsJson = False) -> None:
    """List the networks, their size, published accuracy, and where their weights are."""
    from ..networks.registry import NETWORKS

    rows = [_network_row(name) for name in NETWORKS]
    if as_json:
        print(json.dumps({"networks": rows}))
        return
    titles = [
        "network",
        "kind",
        "parameters",
        "one-bit",
        "MiB in memory",
        "top-1",
        "top-5",
        "from px",
    ]
    table = make_table([*titles, "weights"], right=range(2, 8))
    for row in rows:
        table.add_row(
            row["name"],
            row["kind"],
            f"{row['parameters']:,}",
            f"{row['one_bit_share']:.1%}",
            f"{row['mib']:.2f}",
            "" if row["top1"] is None else f"{row['top1']:.1f}",
            "" if row["top5"] is None else f"{row['top5']:.1f}",
            str(row["smallest"]),
            row["origin"] or "missing",
        )
    show(table)
    print("Missing weights: 'bitbrush weights where' says how to get them.")


@app.command()
def summary(
    network: Annotated[str, typer.Argument(help="A network's name.", show_default=False)],
    size: Annotated[int, typer.Option(min=1, help="Side of the picture in pixels.")] = 224,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Say how each layer runs on an engine: packed, float, or auto, the one it gets.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a network's layers with their weights, memory and multiply-accumulates."""
    from ..networks.summary import summarise

    made = summarise(_on_meta(network), size)
    how = None if engine is None else _how_it_runs(network, engine)
    if as_json:
        print(json.dumps(_summary_json(made, how)))
        return
    widths, precisions = list(made.weights), list(made.macs)
    titles = ["layer", "kind", "input bits", "output"]
    titles += [f"{width}-bit" for width in widths] + ["kB"]
    titles += [f"{precision}-bit MACs" for precision in precisions]
    numbers = range(4, len(titles))
    table = make_table(titles if how is None else [*titles, "how it runs"], right=numbers)
    for layer in made.layers:
        cells = _layer_cells(layer, widths, precisions)
        table.add_row(*cells if how is None else [*cells, how[layer.name]])
    show(table)
    for title, text in _totals(made):
        print(f"{title:34}{text}")


def _network_row(name: str) -> dict[str, Any]:
    from ..networks.registry import network_spec
    from ..networks.summary import summarise
    from ..weights.loading import find_default, where_weights

    spec = network_spec(name)
    network = _on_meta(name)
    made = summarise(network)
    found = find_default(name)
    return {
        "name": name,
        "kind": spec.kind,
        "parameters": made.parameters,
        "one_bit_share": made.one_bit_share,
        "mib": made.mib,
        "top1": spec.top1,
        "top5": spec.top5,
        # Logits may exist at one size only, but pictures are painted from the other taps.
        "smallest": max(tap.smallest for tap in network.taps.values() if tap.stride),
        "origin": None if found is None else found.origin,
        "weights": where_weights(name),
    }


def _on_meta(name: str) -> Network:
    """The network on the meta device: shapes are known, not one number is stored or computed."""
    import torch

    from ..networks.registry import network_spec

    with torch.device("meta"):
        return network_spec(name).build()


def _how_it_runs(name: str, engine: str) -> dict[str, str]:
    """For each layer that has weights, how it runs on this engine.

    Raises:
        InputError: an engine that is not known or that the network cannot have.
    """
    from ..weights.loading import choose_engine, load_network

    chosen = choose_engine(name, engine)
    if chosen == "packed":
        # How it runs depends on weights that are there, but not on what they are.
        return dict(load_network(name, "none", engine=chosen).how)
    return {path: "float32" for path, _ in _on_meta(name).named_modules()}


def _layer_cells(layer: LayerSummary, widths: list[int], precisions: list[int]) -> list[str]:
    output = "" if layer.output is None else "×".join(map(str, layer.output))
    cells = [layer.name, layer.kind, str(layer.input_bits or ""), output]
    cells += [f"{layer.weights[width]:,}" if width in layer.weights else "" for width in widths]
    cells.append(f"{layer.bits / 8192:.2f}")
    return cells + [f"{layer.macs[p]:,}" if p in layer.macs else "" for p in precisions]


def _totals(made: Summary) -> list[tuple[str, str]]:
    return [
        ("total weights", f"{made.parameters:,}"),
        ("trainable weights", f"{made.trainable:,}"),
        ("non-trainable weights", f"{made.parameters - made.trainable:,}"),
        ("model size", f"{made.mib:.2f} MiB"),
        ("model size (8-bit float weights)", f"{made.mib_float8:.2f} MiB"),
        ("float-32 equivalent", f"{made.mib_float32:.2f} MiB"),
        ("compression ratio", f"{made.compression:.2f}"),
        (f"MACs at {made.size}×{made.size} px", f"{made.total_macs:,}"),
        ("ratio of MACs binarized", f"{made.binary_macs_share:.4f}"),
    ]


def _summary_json(made: Summary, how: dict[str, str] | None) -> dict[str, Any]:
    layers: list[dict[str, Any]] = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "input_bits": layer.input_bits,
            "output": layer.output,
            "weights": layer.weights,
            "kb": layer.bits / 8192,
            "macs": layer.macs,
        }
        for layer in made.layers
    ]
    if how is not None:
        for layer in layers:
            layer["how"] = how[layer["name"]]
    return {
        "network": made.network,
        "size": made.size,
        "layers": layers,
        "weights": made.weights,
        "parameters": made.parameters,
        "trainable": made.trainable,
        "mib": made.mib,
        "mib_float8": made.mib_float8,
        "mib_float32": made.mib_float32,
        "compression": made.compression,
        "macs": made.macs,
        "total_macs": made.total_macs,
        "binary_macs_share": made.binary_macs_share,
    }


def make_table(titles: list[str], right: range = range(0)) -> Any:
    """An empty rich table; the columns in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for index, title in enumerate(titles):
        table.add_column(title, justify="right" if index in right else "left", no_wrap=True)
    return table


def show(table: Any) -> None:
    """Prints a table as wide as it needs to be: half a number or command is of no use."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.width = 1000
    console.width = console.measure(table).maximum
    console.print(table)
