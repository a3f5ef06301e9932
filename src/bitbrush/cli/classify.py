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
        str, typer.Option(help="A network with an ImageNet classifier.")
    ] = "resnet18-bmxnet-fp1",
    weights: Annotated[
        str,
        typer.Option(
            help="A weight file of the network, 'default' for those on this machine, "
            "or 'none' for random ones."
        ),
    ] = "default",
    top: Annotated[
        int, typer.Option(min=1, max=1000, help="How many classes to name for each picture.")
    ] = 5,
    device: Annotated[
        str, typer.Option(help="Where to compute: cpu, cuda (or cuda:1 …) or mps.")
    ] = "cpu",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Name the ImageNet classes that a network finds most likely in pictures."""
    # Imported here, so that help and usage errors need no torch.
    from ..classify import require_classifier, top_classes
    from ..images import read_image
    from ..weights.loading import load_network

    require_classifier(network)
    loaded = load_network(network, weights, device=device)
    prepare_engine(loaded)
    results = []
    for path in pictures:
        guesses = top_classes(loaded, read_image(path).rgb, top)
        results.append({"picture": str(path), "classes": [asdict(guess) for guess in guesses]})
        if not as_json:
            print(path)
            for guess in guesses:
                print(f"  {guess.probability:6.1%}  {guess.wordnet_id}  {guess.name}")
    if as_json:
        print(json.dumps({"network": network, "pictures": results}, ensure_ascii=False))
