"""Lesson 5: maximum against average pooling, and where blocks come from."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import geometric_mean

from ...networks.registry import NETWORKS, network_spec
from ..frontiers import against, frontiers_of, reference_cells
from ..plan import Cell
from ..report import Findings, Table, Verdict
from ..report.findings import Outcome
from ..report.verdicts import all_or_none
from ..rows import Row, mean_of_ratios, middle
from . import Lesson, Request

KINDS = ("max", "average")

NOTHING = 0.05
"""Changes of a figure by less than this share are nothing."""

ADDING = (
    "birealnet",
    "meliusnet",
    "quickbrush",
    "quicknet",
    "quicknet_v1",
    "realtobinary",
    "resnet_bmxnet",
    "resnet_v2",
)
"""Families whose blocks add their input to their result."""


def cells(request: Request) -> list[Cell]:
    """Every network that pools, both ways; the frontiers are of its own way."""
    pooling = [label for label, each in request.networks.items() if each.spec.pools]
    found = [cell for network in pooling for cell in reference_cells(request, network)]
    found += [
        Cell(
            sources,
            request.settings(network, pooling=kind),
            sheet="Pooling",
            row=f"{network}, {sources.name}",
            column=kind,
            facts={"network": network, "pooling": kind},
        )
        for network in pooling
        for sources in request.sources
        for kind in KINDS
    ]
    # Networks that do not pool belong to the question of the additions.
    others = [label for label in request.networks if label not in pooling]
    return found + [
        Cell(
            sources,
            request.settings(network),
            sheet="Networks that do not pool",
            row=sources.name,
            column=network,
            facts={"network": network},
        )
        for network in others
        for sources in request.sources
    ]


def findings(request: Request, rows: Sequence[Row]) -> Findings:
    """The two ways side by side, with the grid index as evidence."""
    frontiers = frontiers_of(rows)
    lines: list[list[str | float | None]] = []
    same: dict[str, bool] = {}
    told: dict[str, str] = {}
    for network in request.networks:
        figures: dict[str, dict[str, float | None]] = {}
        for kind in KINDS:
            own = [
                row
                for row in rows
                if row.fact("network") == network and row.fact("pooling") == kind
            ]
            if not own:
                continue
            figures[kind] = {
                "style": mean_of_ratios(own, lambda row: against(row, frontiers)),
                "grid": mean_of_ratios(own, lambda row: row.grid_against_style),
            }
            lines.append(
                [
                    network,
                    kind,
                    figures[kind]["style"],
                    middle(own, "style_distance"),
                    middle(own, "content_distance"),
                    figures[kind]["grid"],
                    middle(own, "noise"),
                ]
            )
        if len(figures) == len(KINDS):
            changes = {
                what: average / maximum
                for what in ("style", "grid")
                if (average := figures["average"][what]) and (maximum := figures["max"][what])
            }
            if changes:
                same[network] = all(abs(change - 1) < NOTHING for change in changes.values())
                told[network] = ", ".join(
                    f"{what} {change:.2f} times with average pooling"
                    for what, change in changes.items()
                )
    return Findings(
        [
            all_or_none(
                "It makes no difference whether a network pools by maximum or by average.",
                same,
                told,
                "bitbrush lab pooling --network vgg19-16x …",
            ),
            _additions(request, rows),
        ],
        [
            Table(
                "By pooling",
                [
                    "network",
                    "pooling",
                    "style at equal content",
                    "style distance",
                    "content distance",
                    "grid against style",
                    "noise",
                ],
                lines,
                "Style at equal content and grid are geometric means over the pairs, the others "
                "medians.",
            )
        ],
    )


def _additions(request: Request, rows: Sequence[Row]) -> Verdict:
    claim = "Blocks in the pictures come from layers that add."
    grids: dict[bool, list[float]] = {True: [], False: []}
    for network, by in request.networks.items():
        own = [r for r in rows if r.fact("network") == network and not r.fact("reference")]
        grid = mean_of_ratios(
            [r for r in own if r.fact("pooling") in (None, "max")], lambda r: r.grid_against_style
        )
        if grid is not None:
            grids[by.spec.family in ADDING].append(grid)
    if not all(grids.values()):
        names = ", ".join(name for name in NETWORKS if network_spec(name).family in ADDING)
        return Verdict(
            claim,
            "not tested",
            f"it takes networks that add ({names}) and others that do not",
            "bitbrush lab pooling --network quickbrush --network squeezenet …",
        )
    adding, other = (geometric_mean(grids[kind]) for kind in (True, False))
    outcome: Outcome = "mixed"
    if min(grids[True]) > max(grids[False]):
        outcome = "confirmed"
    elif adding <= other * (1 + NOTHING):
        outcome = "refuted"
    return Verdict(
        claim,
        outcome,
        f"grid index {adding:.2f} with {len(grids[True])} networks that add, {other:.2f} with "
        f"{len(grids[False])} that do not; these differ in more than that",
    )


LESSON = Lesson(
    "pooling",
    "Maximum or average",
    "Does it matter how a network pools, and do blocks in the pictures come from its pooling, or "
    "from layers that add?",
    (),
    cells,
    findings,
)
