"""The networks of a laboratory: each with its weights, and with the name that a report gives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..networks.registry import NetworkSpec, network_spec
from ..weights.bits import TITLE, read_metadata
from ..weights.loading import find_default, resolve_path

RANDOM = "none"
"""In the place of a file: random weights, as a control."""


@dataclass(frozen=True)
class Contestant:
    """A network with weights.

    Attributes:
        network: its name in the registry.
        weights: "default", RANDOM, or a file.
        label: what tables, captions and verdicts call it. Of weights that were trained here it says
            for how long, and how often the network is right; of random ones that they are.
        is_published: whether its weights are the known ones of that network, so that figures from
            elsewhere hold for it.
    """

    network: str
    weights: str
    label: str
    is_published: bool

    @property
    def spec(self) -> NetworkSpec:
        """Of the registry."""
        return network_spec(self.network)

    @property
    def file(self) -> Path | None:
        """Of its weights; None of random ones, and where there are none."""
        if self.weights == "default":
            info = find_default(self.network)
            return None if info is None else info.path
        return None if self.is_control else Path(self.weights)

    @property
    def is_control(self) -> bool:
        """Whether its weights are random."""
        return self.weights == RANDOM


def contestant(text: str) -> Contestant:
    """A network as a command line names it.

    Args:
        text: NETWORK, with the weights that it has by default; NETWORK=FILE; or NETWORK=none.
    Raises:
        InputError: an unknown network, or no such file; `NetworkMissingError` where its default
            weights are not on this machine.
    """
    network, equals, given = text.partition("=")
    if equals and not given:
        raise InputError(f"{text} names no weights; write {network}=FILE or {network}={RANDOM}")
    weights = given or "default"
    if weights not in (RANDOM, "default"):
        weights = str(Path(weights).expanduser())
    path = resolve_path(network, weights).path
    if path is None:
        return Contestant(network, RANDOM, f"{network}, random weights", is_published=False)
    title = read_metadata(path).get(TITLE)
    if title is not None:
        return Contestant(network, weights, title, is_published=False)
    if weights == "default":
        return Contestant(network, weights, network, is_published=True)
    return Contestant(network, weights, f"{network}, {path.name}", is_published=False)


def contestants(texts: Iterable[str]) -> dict[str, Contestant]:
    """By their labels, each once, in their order.

    Raises:
        InputError: as `contestant`, or two would go by the same name.
    """
    found: dict[str, Contestant] = {}
    for text in texts:
        each = contestant(text)
        file = each.file
        if found.get(each.label, each) != each and file and file.name not in each.label:
            each = dataclasses.replace(each, label=f"{each.label}, {file.name}")
        if found.setdefault(each.label, each) != each:
            raise InputError(
                f"{each.weights} and {found[each.label].weights} would both be called "
                f"{each.label!r}; rename one of the files"
            )
    return found


def at_hand(names: Iterable[str]) -> list[str]:
    """Those of the networks whose default weights are on this machine."""
    return [name for name in names if find_default(name) is not None]
