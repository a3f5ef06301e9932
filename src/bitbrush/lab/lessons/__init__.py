"""The lessons of the article "Style Transfer with Binarized Neural Networks", each an experiment.

The gallery is none of them; it is planned and told like one.

Source: McAteer and Prabhu 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...networks.registry import network_spec
from ..accuracy import Accuracy
from ..contestants import Contestant
from ..plan import Cell, Sources
from ..report import Findings
from ..rows import Row


@dataclass(frozen=True)
class Request:
    """What a lesson is to be run on.

    Attributes:
        sources: pairs of content and style.
        networks: by their labels, in the order of the report.
        size: long edge of the paintings in pixels.
        steps: of each.
        threads: of each.
        seed: of each, and of whatever a lesson draws.
        seen: how often networks are right, by their labels, where that was measured.
    """

    sources: Sequence[Sources]
    networks: Mapping[str, Contestant]
    size: int
    steps: int
    threads: int
    seed: int = 0
    seen: Mapping[str, Accuracy] = field(default_factory=dict)

    def settings(self, network: str, **more: Any) -> dict[str, Any]:
        """Of a painting by the network of that label."""
        by = self.networks[network]
        common = {"network": by.network, "size": self.size, "steps": self.steps}
        own: dict[str, Any] = {"seed": self.seed} if self.seed else {}
        if by.weights != "default":
            own["weights"] = by.weights
        return {**common, **own, "threads": self.threads, **more}

    def named(self, network: str) -> str | None:
        """The label of the first with trained weights of that network of the registry."""
        return next((n for n, each in self.trained().items() if each.network == network), None)

    def trained(self) -> Mapping[str, Contestant]:
        """The networks that verdicts are of: those with random weights are controls."""
        return {label: each for label, each in self.networks.items() if not each.is_control}

    def kinds(self) -> Mapping[str, list[str]]:
        """The trained networks that quantize, and the others: "binary" and "float"."""
        found: dict[str, list[str]] = {"binary": [], "float": []}
        for label, each in self.trained().items():
            found["float" if each.spec.kind == "float" else "binary"].append(label)
        return found


@dataclass(frozen=True)
class Lesson:
    """An experiment.

    Attributes:
        name: of the command.
        title, question: of the report.
        networks: it is run on where none are named; empty: all whose weights are there.
        cells: what it paints.
        findings: what it says of the rows.
    """

    name: str
    title: str
    question: str
    networks: Sequence[str]
    cells: Callable[[Request], list[Cell]]
    findings: Callable[[Request, Sequence[Row]], Findings]


def taps_of(network: str) -> list[str]:
    """Taps that are maps, in order of depth."""
    import torch

    # On the meta device a network has shapes but no memory.
    with torch.device("meta"):
        taps = network_spec(network).build().taps
    return [name for name, tap in taps.items() if tap.stride and tap.size is None]
