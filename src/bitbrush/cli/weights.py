"""`bitbrush weights`: what weights there are, and how they come here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from .app import app
from .networks import AsJson, make_table, show
from .progress import progress

weights = typer.Typer(help="List, get, import and check weights.")
app.add_typer(weights, name="weights")

Name = Annotated[str, typer.Argument(help="A network's name.", show_default=False)]

REMEDIES = {
    "shipped": "reinstall bitbrush",
    "file": "replace the file that BITBRUSH_WEIGHTS names",
    "cache": "pull or import it again",
}
"""What to do about damaged weights, by where they come from."""


@weights.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """List the published weight files."""
    from ..networks.registry import NETWORKS
    from ..weights.catalogue import CATALOGUE

    rows: list[dict[str, Any]] = []
    for entry in CATALOGUE.values():
        spec = NETWORKS[entry.network]
        row = {"network": entry.network, "url": entry.url, "sha256": entry.sha256}
        row |= {"licence": entry.licence, "source": entry.source}
        row["preprocessing"] = entry.preprocessing
        rows.append(row | {"sha256_whole": entry.whole, "top1": spec.top1, "top5": spec.top5})
    if as_json:
        print(json.dumps({"weights": rows}))
        return
    table = make_table(["network", "source", "licence", "top-1", "top-5", "file", "SHA-256"])
    for row in rows:
        accuracy = ["" if row[key] is None else f"{row[key]:.1f}" for key in ("top1", "top5")]
        file = row["url"].rpartition("/")[2]
        digest = row["sha256"][:12] + "…"
        table.add_row(row["network"], row["source"], row["licence"], *accuracy, file, digest)
    show(table)


@weights.command()
def pull(network: Name) -> None:
    """Download a network's published weights, check them, and keep them in the cache."""
    from ..weights.cache import pull as pull_weights
    from ..weights.loading import find_default

    held = find_default(network)
    if held is not None and held.origin == "shipped":
        raise InputError(
            f"the weights of {network} come with bitbrush: nothing need be fetched; if they are "
            "damaged, reinstall bitbrush"
        )
    with progress(f"pulling {network}") as shown:

        def update(done: int, total: int | None) -> None:
            shown.total = total
            of = f" of {total / 2**20:.1f}" if total else ""
            shown.update(done, f"{done / 2**20:.1f}{of} MiB")

        path = pull_weights(network, progress=update)
    print(path)


@weights.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A weight file.", show_default=False)],
    network: Annotated[
        str, typer.Option(help="The network that the weights are for.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write.", show_default="the cache"),
    ] = None,
) -> None:
    """Turn a weight file of another project into bitbrush's own format."""
    from ..networks.registry import network_spec
    from ..weights.cache import cached_file, import_to

    target = output or cached_file(network_spec(network).name)
    print(import_to(file, network, target))


@weights.command()
def verify(
    network: Annotated[
        str | None, typer.Argument(help="A network's name.", show_default="all that are here")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that the weights on this machine are whole and fit their network."""
    from ..errors import BitbrushError, InputError
    from ..networks.registry import NETWORKS
    from ..weights.importing import import_weights
    from ..weights.loading import find_default, resolve_path, resolve_weights

    names = list(NETWORKS) if network is None else [network]
    rows: list[dict[str, Any]] = []
    for name in names:
        if network is None and find_default(name) is None:
            continue
        info = resolve_path(name, "default")
        assert info.path is not None
        row: dict[str, Any] = {"network": name, "origin": info.origin, "file": str(info.path)}
        try:
            import_weights(info.path, name)
            row |= {"ok": True, "sha256": resolve_weights(name).sha256}
        except BitbrushError as error:
            row |= {"ok": False, "error": str(error)}
        rows.append(row)
    bad = [f"{row['network']} ({REMEDIES[row['origin']]})" for row in rows if not row["ok"]]
    if as_json:
        print(json.dumps({"weights": rows}))
    else:
        for row in rows:
            print(f"{row['network']}: {row['sha256'] if row['ok'] else row['error']}")
    if bad:
        raise InputError(f"damaged: {', '.join(bad)}")


@weights.command()
def where(
    network: Annotated[
        str | None, typer.Argument(help="A network's name.", show_default="all")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say where each network's weights are, or how to get them."""
    from ..networks.registry import NETWORKS, network_spec
    from ..weights.cache import cache_folder
    from ..weights.loading import find_default, where_weights

    names = list(NETWORKS) if network is None else [network_spec(network).name]
    if not as_json:
        if network is None:
            print(f"cache: {cache_folder()}")
        for name in names:
            print(f"{name}: {where_weights(name)}" if network is None else where_weights(name))
        return
    rows = []
    for name in names:
        found = find_default(name)
        path = None if found is None else str(found.path)
        rows.append(
            {"network": name, "origin": None if found is None else found.origin, "file": path}
        )
    print(json.dumps({"cache": str(cache_folder()), "weights": rows}))
