"""Lesson 5: maximum against average pooling, and where blocks come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import geometric_mean

from ...networks.registry import NETWORKS, network_spec
from ..frontier import Comparison, compared
from ..frontiers import against, frontiers_of, reference_cells
from ..plan import Cell, Sources
from ..report import Findings, Table, Verdict
from ..report.verdicts import all_or_none, outcome
from ..rows import Row, by_pair, middle, over_pairs, told_mean
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

    def style(row: Row) -> float | None:
        return against(row, frontiers)

    def grid(row: Row) -> float | None:
        return row.grid_against_style

    lines: list[list[str | float | None]] = []
    same: dict[str, bool | None] = {}
    told: dict[str, str] = {}
    for network in request.networks:
        kinds: dict[str, list[Row]] = {kind: [] for kind in KINDS}
        for row in rows:
            if row.fact("network") == network and row.fact("pooling") in kinds:
                kinds[row.fact("pooling")].append(row)
        for kind, own in kinds.items():
            if own:
                lines.append(
                    [
                        network,
                        kind,
                        told_mean(own, style),
                        middle(own, "style_distance"),
                        middle(own, "content_distance"),
                        told_mean(own, grid),
                        middle(own, "noise"),
                    ]
                )
        changes = {
            what: compared(ratios)
            for what, of in (("style", style), ("grid", grid))
            if (ratios := over_pairs(kinds["average"], kinds["max"], of))
        }
        if changes:
            same[network] = _is_nothing(changes.values())
            told[network] = ", ".join(
                f"{what} {change.text()} times with average pooling"
                for what, change in changes.items()
            )
    return Findings(
        [
            all_or_none(
                "It makes no difference whether a network pools by maximum or by average.",
                [name for name, by in request.trained().items() if by.spec.pools],
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
                "Style at equal content and grid: geometric means with 95 % intervals; the others: "
                "medians.",
            )
        ],
    )


def _is_nothing(changes: Iterable[Comparison]) -> bool | None:
    """Whether no figure changes; None where its interval holds both changes and none."""
    sides = [(each.is_above(1 - NOTHING), each.is_above(1 + NOTHING)) for each in changes]
    if any(low is False or high for low, high in sides):
        return False
    return True if all(each == (True, False) for each in sides) else None


def _additions(request: Request, rows: Sequence[Row]) -> Verdict:
    """Whether, pair by pair, networks that add have more blocks than others."""
    claim = "Blocks in the pictures come from layers that add."
    kinds = [_grids(request, rows, adding) for adding in (True, False)]
    adding, other = (list(kind.values()) for kind in kinds)
    if not adding or not other:
        names = ", ".join(name for name in NETWORKS if network_spec(name).family in ADDING)
        return Verdict(
            claim,
            "not tested",
            f"it takes networks that add ({names}) and others that do not",
            "bitbrush lab pooling --network quickbrush --network squeezenet …",
        )
    pairs = [s for s in request.sources if all(s in grid for grid in adding + other)]
    if not pairs:
        return Verdict(
            claim,
            "not tested",
            "on no pair were all of these networks painted with",
            "bitbrush lab pooling …",
        )
    means = [[geometric_mean(g[s] for g in kind) for s in pairs] for kind in (adding, other)]
    change = compared([with_it / without for with_it, without in zip(*means, strict=True)])
    told = f"grid index {change.text()} times as high with {len(adding)} networks that add as with "
    told += f"{len(other)} that do not; these differ in more than that"
    if any(len({request.networks[label].network for label in kind}) < 2 for kind in kinds):
        # One network of a kind may have blocks, or none, for any other reason.
        told += ", and it takes two of each kind to tell"
        return Verdict(claim, "mixed", told)
    return Verdict(claim, outcome(change.is_above(1 + NOTHING)), told)


def _grids(request: Request, rows: Sequence[Row], adding: bool) -> dict[str, dict[Sources, float]]:
    """The grid index by network and pair, of those that add or of the others."""
    found = {}
    for network, by in request.trained().items():
        if (by.spec.family in ADDING) == adding:
            own = [r for r in rows if r.fact("network") == network and not r.fact("reference")]
            own = [r for r in own if r.fact("pooling") in (None, "max")]
            found[network] = by_pair(own, lambda row: row.grid_against_style)
    return {network: grid for network, grid in found.items() if grid}


LESSON = Lesson(
    "pooling",
    "Maximum or average",
    "Does it matter how a network pools, and do blocks in the pictures come from its pooling, or "
    "from layers that add?",
    (),
    cells,
    findings,
)
