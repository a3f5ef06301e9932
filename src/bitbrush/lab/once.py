"""What is measured of a network once, and kept in a laboratory's folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from .. import __version__
from ..atomic import write_atomically
from .contestants import Contestant
from .plan import mark_of_weights

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Found = TypeVar("Found", bound="DataclassInstance")


def once(
    folder: Path,
    by: Contestant,
    kind: type[Found],
    told: Mapping[str, Any],
    measure: Callable[[], Found],
) -> Found:
    """What was measured before with the same weights, else what is measured now.

    Args:
        folder: of the laboratory, where it is kept.
        kind: of dataclass that is measured, whose fields are plain values.
        told: plain values that it depends on beside the weights.
    Raises:
        InputError: it cannot be written there.
    """
    path = folder / "measured" / f"{by.network}-{_key(by, kind, told)}.json"
    try:
        return kind(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass  # not there, or cut off
    found = measure()
    text = json.dumps(dataclasses.asdict(found), indent=1)
    write_atomically(path, text.encode(), parents=True)
    return found


def _key(by: Contestant, kind: type[Any], told: Mapping[str, Any]) -> str:
    common = {
        "bitbrush": __version__,
        "torch": torch.__version__,
        "kind": kind.__name__,
        "weights": mark_of_weights(by.network, by.weights),
    }
    return hashlib.sha256(json.dumps({**common, **told}).encode()).hexdigest()[:16]
