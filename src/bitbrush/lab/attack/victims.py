"""Networks that an attack can be about: those whose answers are ImageNet's classes."""

from __future__ import annotations

from pathlib import Path

from ...classify import CLASSES, knows_imagenet, require_classifier
from ...errors import InputError
from ...networks.registry import NETWORKS
from ...weights.bits import read_metadata
from ...weights.loading import find_default, resolve_path


def require_imagenet(name: str, weights: Path | str | None = "default") -> None:
    """Makes sure that a network's answers are ImageNet's classes, without loading it.

    Args:
        name: of the network.
        weights: as for `load_network`.
    Raises:
        InputError: an unknown network, one without a classifier, weights that are not there, or
            those of other classes.
    """
    require_classifier(name)
    path = resolve_path(name, weights).path
    if path is not None and not knows_imagenet(name, path):
        told = read_metadata(path).get(CLASSES, "")
        raise InputError(
            f"{name} in {path} knows {told[:12]} classes of its own, not ImageNet's 1,000; "
            "choose other weights or another network"
        )


def imagenet_networks() -> list[str]:
    """Those whose weights on this machine are of ImageNet's classes."""
    found = []
    for name in NETWORKS:
        if find_default(name) is None:
            continue
        try:
            require_imagenet(name)
        except InputError:
            continue
        found.append(name)
    return found
