"""`bitbrush classify`: what a network sees in pictures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .engine_notes import prepare_engine


@app.command()
def classify(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Picture files.", show_default=False)
    ],
    network: Annotated[
        str, typer.Option(help="A network with a classifier.")
    ] = "resnet18-bmxnet-fp1",
    weights: Annotated[
        str,
        typer.Option(
            help="A weight file of the network, 'default' for those on this machine, "
            "or 'none' for random ones."
        ),
    ] = "default",
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many classes to name for each picture.",
            show_default="5, or all of fewer",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where to compute: cpu, cuda (or cuda:1 …) or mps.")
    ] = "cpu",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Name the classes that a network finds most likely in pictures.

    They are ImageNet's, or those of the pictures that --weights was trained with by bitbrush.
    """
    # Imported here, so that help and usage errors need no torch.
    from ..classify import own_classes, require_classifier, top_classes
    from ..images import read_image
    from ..weights.bits import read_metadata
    from ..weights.loading import load_network, resolve_path

    require_classifier(network)
    loaded = load_network(network, weights, device=device)
    file = resolve_path(network, weights).path
    own = None if file is None else own_classes(read_metadata(file), file)
    prepare_engine(loaded)
    results = []
    for path in pictures:
        guesses = top_classes(loaded, read_image(path).rgb, top, own)
        results.append({"picture": str(path), "classes": [asdict(guess) for guess in guesses]})
        if not as_json:
            print(path)
            for guess in guesses:
                known = "" if guess.wordnet_id is None else f"{guess.wordnet_id}  "
                print(f"  {guess.probability:6.1%}  {known}{guess.name}")
    if as_json:
        print(json.dumps({"network": network, "pictures": results}, ensure_ascii=False))
