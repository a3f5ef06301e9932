"""A search begins badly, repeats itself exactly, and is judged on pairs it has not seen."""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import bitbrush.cli.lab
from bitbrush.cli.app import app
from bitbrush.errors import InputError
from bitbrush.lab.budget import Budget
from bitbrush.lab.lessons import Request, groove
from bitbrush.lab.lessons.search import (
    AT_ONCE,
    FINALISTS,
    MORE_PAIRS,
    PAIRS,
    WANTED,
    Found,
    search,
)
from bitbrush.lab.plan import Cell, Sources, cells_once
from bitbrush.lab.rows import Row
from bitbrush.lab.runner import Laboratory
from bitbrush.lab.widening import WEIGHTS
from bitbrush.style.settings import make_settings

pytest.importorskip("optuna")
Make = Callable[..., Request]


class Known:
    """Stands in for a laboratory: figures by a formula whose best settings are known."""

    def __init__(self) -> None:
        self.painted: list[str] = []

    def rows(self, cells: Sequence[Cell], advance: Any) -> list[Row]:
        self.painted += [cell.key for cell in cells_once(cells)]
        advance(len(cells), "")
        return [Row(cell, self.figures(cell)) for cell in cells]

    @staticmethod
    def figures(cell: Cell) -> dict[str, Any]:
        settings = make_settings(cell.settings)
        off = abs(settings.tv_weight - 0.002) ** 0.25 + abs(settings.colour_weight - 0.5) / 5
        content = 2 / (1 + 10 * settings.content_weight) ** 0.5
        return {
            "network": settings.network,
            "style_distance": 0.06 * (1 + off) / content,
            "content_distance": content,
            "grid": 1.0,
            "grid_of_style": 1.0,
            "noise": 1.0,
            "seconds": 1.0,
            "steps": 1,
            "error": None,
        }


def found_by(request: Request, paintings: int, guide: str = "cost") -> tuple[Found, Known]:
    known = Known()
    pairs = groove.parted(request.sources, 1)
    budget = Budget(paintings)
    found = search(request, known, budget, pairs.seen, lambda d, n: None, guide=guide)  # type: ignore[arg-type]
    return found, known


def test_the_search_improves_on_its_start_and_repeats_itself(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4, seed=1)
    found, known = found_by(request, 24)
    assert 24 - PAIRS < len(found.rows) <= 24
    first = found.study.trials[0]
    assert first.params["content_weight"] == 10 and first.params["estimator"] == "identity"
    again, repeated = found_by(request, 24)
    assert repeated.painted == known.painted and again.settings == found.settings
    other, _ = found_by(dataclasses.replace(request, seed=2), 8)
    assert other.settings != found.settings
    tv, start = found.settings["tv_weight"], first.params["tv_weight"]
    assert abs(tv - 0.002) < start / 10


def test_poor_proposals_are_not_painted_to_their_end(make_request: Make) -> None:
    found, _ = found_by(make_request("quickbrush", pairs=4), 24)
    by_proposal = Counter(row.fact("proposal") for row in found.rows)
    given_up = [trial for trial in found.study.trials if trial.state.name == "PRUNED"]
    assert given_up and all(by_proposal[trial.number] < PAIRS for trial in given_up)
    rest = [trial for trial in found.study.trials if trial not in given_up]
    assert all(by_proposal[trial.number] >= PAIRS and len(trial.values) == 3 for trial in rest)
    best = [number for number, count in by_proposal.items() if count > PAIRS]
    assert len(best) == FINALISTS and {by_proposal[number] for number in best} == {PAIRS + 1}
    assert not set(best) & {trial.number for trial in given_up}
    assert len(found.study.trials) * PAIRS > len(found.rows) - FINALISTS


def test_a_search_led_by_three_figures_spreads(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)
    found, known = found_by(request, 40, "frontier")
    assert not [trial for trial in found.study.trials if trial.state.name != "COMPLETE"]
    assert found.study.trials[0].params["content_weight"] == 10
    assert found_by(request, 40, "frontier")[1].painted == known.painted
    by_cost = {trial.values[1] for trial in found_by(request, 40)[0].study.best_trials}
    spread = {trial.values[1] for trial in found.study.best_trials}
    assert max(spread) - min(spread) > 0.5 and len(spread) > len(by_cost)
    with pytest.raises(InputError, match="did you mean 'frontier'"):
        found_by(request, 40, "frontiers")


def test_a_budget_may_be_a_time(make_request: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    request = make_request("quickbrush", pairs=4)
    now = 0.0
    monkeypatch.setattr("bitbrush.lab.lessons.search.time.monotonic", lambda: now)

    class Slow(Known):
        def rows(self, cells: Sequence[Cell], advance: Any) -> list[Row]:
            nonlocal now
            now += 60 * len(cells)
            return super().rows(cells, advance)

    pairs = groove.parted(request.sources, 1)

    def proposals(minutes: float) -> int:
        budget = Budget(seconds=60 * minutes)
        found = search(request, Slow(), budget, pairs.seen, lambda d, n: None)  # type: ignore[arg-type]
        return len(found.study.trials)

    assert proposals(0.5) == AT_ONCE  # what was begun is painted
    assert proposals(2 * PAIRS * AT_ONCE - 1) == 2 * AT_ONCE


def test_as_many_are_painted_at_a_time_as_asked_for(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)
    counts: list[int] = []

    class Counting(Known):
        def rows(self, cells: Sequence[Cell], advance: Any) -> list[Row]:
            counts.append(len(cells))
            return super().rows(cells, advance)

    pairs = groove.parted(request.sources, 1).seen[:PAIRS]
    for at_once in (1, 3):
        counts.clear()
        budget = Budget(4 * PAIRS)
        search(request, Counting(), budget, pairs, lambda d, n: None, at_once=at_once)  # type: ignore[arg-type]
        assert max(counts) == counts[0] == at_once


def test_a_folder_keeps_how_many_are_proposed_at_a_time(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def begun(*arguments: Any) -> None:
        asked.append(arguments[-2])
        raise InputError("begun")

    monkeypatch.setattr("bitbrush.lab.lessons.search.search", begun)
    words = ["lab", "groove", "--content", str(pictures / "content"), "--unseen", "1"]
    words += ["--style", str(pictures / "style"), "--network", "quickbrush-small"]
    words += ["--size", "48", "--steps", "3", "--threads", "1", "--judge", "quickbrush"]
    for folder, more in (("own", ["--at-once", "3"]), ("own", []), ("usual", [])):
        result = CliRunner().invoke(app, [*words, "-o", str(tmp_path / folder), *more])
        assert "begun" in result.output
    assert asked == [3, 3, AT_ONCE]


def test_what_was_found_is_judged_on_other_pairs(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)
    found, known = found_by(request, 30)
    (unseen,) = groove.parted(request.sources, 1).unseen
    assert unseen not in {row.cell.sources for row in found.rows}
    judging = groove.judged(request, found, [unseen], known, lambda d, n: None)  # type: ignore[arg-type]
    findings = groove.findings(request, found, [unseen], judging)
    (verdict,) = findings.verdicts
    assert verdict.outcome == "mixed"  # of one pair
    assert f"after {len(found.rows)} paintings" in verdict.evidence
    assert 0.5 < float(verdict.evidence.split()[0]) < 2
    assert all(len(row) == len(table.header) for table in findings.tables for row in table.rows)
    assert groove.findings(request, found, [unseen], []).verdicts[0].outcome == "not tested"


def test_frontiers_are_widened_until_they_can_be_compared(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)

    class Apart(Known):
        @staticmethod
        def figures(cell: Cell) -> dict[str, Any]:
            figures = Known.figures(cell)
            times = 4 if cell.settings.get("style_taps") else 1
            return {**figures, "content_distance": figures["content_distance"] * times}

    found, _ = found_by(request, 12)
    (unseen,) = groove.parted(request.sources, 1).unseen
    apart = Apart()
    judging = groove.judged(request, found, [unseen], apart, lambda d, n: None)  # type: ignore[arg-type]
    weights: dict[bool, list[float]] = {True: [], False: []}
    for row in judging:
        weights[bool(row.fact("found"))].append(row.cell.settings["content_weight"])
    assert max(weights[True]) > max(WEIGHTS) and min(weights[False]) < min(WEIGHTS)
    assert len(apart.painted) == len(judging) == 2 * len(WEIGHTS) + 1 + 2 * 2  # two rounds
    (verdict,) = groove.findings(request, found, [unseen], judging).verdicts
    assert float(verdict.evidence.split()[0]) > groove.WITHIN


def test_the_command_aims_where_the_search_does() -> None:
    told = inspect.signature(bitbrush.cli.lab.groove).parameters["content_distance"].default
    assert told == WANTED


def test_seen_and_unseen_share_neither_content_nor_style() -> None:
    sources = [Sources(Path(f"c{c}.png"), f"s{s}.png") for c in range(6) for s in range(6)]
    parted = groove.parted(sources, 2)
    assert len(parted.unseen) == 2 and len(parted.seen) == PAIRS + MORE_PAIRS
    for each in parted.seen:
        assert each.content not in {pair.content for pair in parted.unseen}
        assert each.style not in {pair.style for pair in parted.unseen}
    with pytest.raises(InputError, match="there are 2"):
        groove.parted(sources[:2], 1)


@pytest.mark.slow
def test_a_real_search(make_request: Make, tmp_path: Path) -> None:
    request = make_request("quickbrush-small", pairs=4)
    laboratory = Laboratory(tmp_path, "quickbrush")
    told: list[float] = []
    pairs = groove.parted(request.sources, 1)
    found = search(request, laboratory, Budget(4), pairs.seen, lambda done, note: told.append(done))
    assert told == sorted(told) and told[-1] == 4
    assert {row.found["steps"] for row in found.rows} <= {1, 2, 3}
    assert all(row.distances is not None for row in found.rows)


@pytest.mark.slow
def test_the_report_says_what_the_search_found(pictures: Path, tmp_path: Path) -> None:
    assert bitbrush.cli.lab
    words = ["lab", "groove", "--content", str(pictures / "content")]
    words += ["--style", str(pictures / "style"), "--network", "quickbrush-small"]
    words += ["--size", "48", "--steps", "3", "--threads", "1", "--judge", "quickbrush"]
    words += ["--budget", "4", "--unseen", "1", "-o", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for part in ("From deliberately bad weights", "Proposals that no other beats", "All proposals"):
        assert part in text
