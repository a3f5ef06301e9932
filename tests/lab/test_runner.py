"""A laboratory paints each cell once, keeps it, and goes on where it was."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bitbrush.errors import InputError, NetworkMissingError
from bitbrush.lab import checking, making, runner
from bitbrush.lab.budget import Budget
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import Cell
from bitbrush.lab.rows import Row, write_table
from bitbrush.lab.runner import Laboratory

JUDGE = "quickbrush"
Make = Callable[..., Request]


def cells_of(request: Request, weights: tuple[float, ...] = (0.01, 0.1, 1.0)) -> list[Cell]:
    return [
        Cell(
            sources,
            request.settings("quickbrush-small", content_weight=weight),
            row=sources.name,
            column=f"{weight:g}",
        )
        for sources in request.sources
        for weight in weights
    ]


def silent(done: float, note: str) -> None: ...


def test_each_is_painted_once(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = cells_of(make_request("quickbrush-small"))
    told: list[float] = []
    rows = Laboratory(tmp_path, JUDGE).rows([*cells, cells[0]], lambda d, n: told.append(d))
    assert [row.cell for row in rows] == [*cells, cells[0]]
    assert told == sorted(told) and told[-1] == 3
    for row in rows:
        assert (tmp_path / row.file).exists() and row.distances is not None
        assert row.found["steps"] == 3 and row.found["seconds"] > 0 and not row.failed

    def refuse(*arguments: Any) -> None:
        raise AssertionError("painted again")

    monkeypatch.setattr(making, "_painted", refuse)
    assert Laboratory(tmp_path, JUDGE).rows(cells, silent) == rows[:3]


def test_a_killed_run_goes_on(make_request: Make, tmp_path: Path) -> None:
    cells = cells_of(make_request("quickbrush-small"))
    first = Laboratory(tmp_path, JUDGE, budget=Budget(paintings=2)).rows(cells, silent)
    assert [row.cell for row in first] == cells[:2]
    before = (tmp_path / first[0].file).stat().st_mtime_ns
    # As a crash between picture and record, or within a record, leaves it.
    (tmp_path / first[1].file).with_suffix(".json").write_text("{")
    whole = Laboratory(tmp_path, JUDGE).rows(cells, silent)
    assert [row.cell for row in whole] == cells
    assert (tmp_path / first[0].file).stat().st_mtime_ns == before
    assert whole[1].distances == first[1].distances


def test_a_plan_that_is_cut_short_has_whole_pairs(make_request: Make, tmp_path: Path) -> None:
    request = make_request("quickbrush-small", pairs=2)
    # Weight by weight, as lessons plan their frontiers.
    cells = sorted(cells_of(request, (0.1, 1.0)), key=lambda cell: cell.column)
    first = [cell for cell in cells if cell.sources == request.sources[0]]
    assert first != cells[:2]
    short = Laboratory(tmp_path, None, budget=Budget(paintings=2))
    assert [row.cell for row in short.rows(cells, silent)] == first
    assert [row.cell for row in Laboratory(tmp_path, None).rows(cells, silent)] == cells
    # With all of them held, too.
    assert [row.cell for row in short.rows(cells, silent)] == first


def test_memory_is_counted_for_the_processes_of_this_machine(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "estimated_peak", lambda job: 1e9)
    monkeypatch.setattr(checking, "available_memory", lambda: 2.5e9)
    cells = cells_of(make_request("quickbrush-small"))
    for ray in (None, "local"):
        with pytest.raises(InputError, match="use --workers 2"):
            Laboratory(tmp_path, None, workers=3, ray=ray).check(cells, silent)
    # Of other machines nobody knows the memory.
    Laboratory(tmp_path, None, ray="far.away:6379").check(cells, silent)


def test_time_is_a_budget_too(make_request: Make, tmp_path: Path) -> None:
    cells = cells_of(make_request("quickbrush-small"))
    laboratory = Laboratory(tmp_path, None, budget=Budget(seconds=1e-9))
    assert laboratory.rows(cells, silent) == []


def test_another_judge_judges_without_painting(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = cells_of(make_request("quickbrush-small"), (0.1,))
    (plain,) = Laboratory(tmp_path, None).rows(cells, silent)
    assert plain.distances is None
    monkeypatch.setattr(making, "_painted", lambda *a: pytest.fail("painted again"))
    (judged,) = Laboratory(tmp_path, JUDGE).rows(cells, silent)
    assert judged.distances is not None
    assert judged.found["seconds"] == plain.found["seconds"]


def test_a_judgement_goes_with_its_judge(make_request: Make, tmp_path: Path) -> None:
    cells = cells_of(make_request("quickbrush-small"), (0.1,))
    (judged,) = Laboratory(tmp_path, JUDGE).rows(cells, silent)
    # No time is left for the other judge: then there is none, and not the one before.
    late = Laboratory(tmp_path, "quickbrush-small", budget=Budget(seconds=1e-9))
    assert late.rows(cells, silent) == []
    (plain,) = Laboratory(tmp_path, None).rows(cells, silent)
    assert plain.distances is None and plain.found["judge"] is None
    (again,) = Laboratory(tmp_path, JUDGE).rows(cells, silent)
    assert again.found == judged.found


def test_a_painting_is_kept_whatever_becomes_of_its_judgement(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = cells_of(make_request("quickbrush-small"), (0.1,))

    def fail(*arguments: Any) -> None:
        raise InputError("no judgement")

    with monkeypatch.context() as patched:
        patched.setattr(making, "_judged", fail)
        with pytest.raises(InputError, match="no judgement"):
            Laboratory(tmp_path, JUDGE).rows(cells, silent)
    monkeypatch.setattr(making, "_painted", lambda *a: pytest.fail("painted again"))
    (row,) = Laboratory(tmp_path, JUDGE).rows(cells, silent)
    assert row.distances is not None


def test_what_a_kill_cut_off_is_cleared_away(make_request: Make, tmp_path: Path) -> None:
    part = tmp_path / "paintings" / ".0123.png.89abcdef.part"
    part.parent.mkdir()
    part.write_bytes(b"half")
    Laboratory(tmp_path, None).rows(cells_of(make_request("quickbrush-small"), (0.1,)), silent)
    assert not part.exists()


def test_a_missing_judge_is_known_before_anything_is_painted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path / "empty"))
    with pytest.raises(NetworkMissingError):
        Laboratory(tmp_path / "lab", "vgg19")
    assert not (tmp_path / "lab").exists()


class Alone:
    """A crew of one, which does at once what it is told."""

    size = 1

    def __init__(self, work: Callable[[Cell], dict[str, Any]]) -> None:
        self._work = work
        self._done: list[tuple[Cell, dict[str, Any]]] = []

    def begin(self, task: Cell) -> None:
        self._done.append((task, self._work(task)))

    def finished(self, seconds: float) -> list[tuple[Cell, dict[str, Any]]]:
        done, self._done = self._done, []
        return done


def test_workers_are_called_once_and_go_with_the_laboratory(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    @contextmanager
    def called(workers: int, work: Callable[[Cell], dict[str, Any]]) -> Iterator[Alone]:
        told.append("come")
        try:
            yield Alone(work)
        except KeyboardInterrupt:
            told.append("sent away")
            raise
        told.append("go")

    monkeypatch.setattr(runner, "processes", called)
    cells = cells_of(make_request("quickbrush-small"))
    with Laboratory(tmp_path, JUDGE, workers=2) as laboratory:
        assert told == []
        first = laboratory.rows(cells[:1], silent)
        rows = laboratory.rows(cells, silent)
        assert told == ["come"]
    assert told == ["come", "go"] and first + rows[1:] == rows and len(rows) == 3
    with Laboratory(tmp_path, JUDGE, workers=2) as laboratory:
        assert laboratory.rows(cells, silent) == rows  # all there: nobody is called
    assert told == ["come", "go"]

    def stop(done: float, note: str) -> None:
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        Laboratory(tmp_path / "other", JUDGE, workers=2) as laboratory,
    ):
        laboratory.rows(cells[:1], lambda done, note: done and stop(done, note))
    assert told[2:] == ["come", "sent away"]


@pytest.mark.slow
def test_several_processes_paint_the_same(make_request: Make, tmp_path: Path) -> None:
    cells = cells_of(make_request("quickbrush-small", pairs=2), (0.05, 0.5))
    alone = Laboratory(tmp_path / "one", JUDGE).rows(cells, silent)
    with Laboratory(tmp_path / "two", JUDGE, workers=2) as laboratory:
        together = laboratory.rows(cells, silent)
    assert [row.cell for row in together] == cells
    for one, two in zip(alone, together, strict=True):
        assert (tmp_path / "one" / one.file).read_bytes() == (
            tmp_path / "two" / two.file
        ).read_bytes()
        assert one.distances == two.distances


def test_a_painting_that_breaks_off_is_a_row(make_request: Make, tmp_path: Path) -> None:
    request = make_request("quickbrush-small", steps=30)
    settings = request.settings(
        "quickbrush-small", learning_rate=100.0, optimizer="lbfgs", tv_weight=1e38, canvas="fourier"
    )
    (row,) = Laboratory(tmp_path, JUDGE).rows([Cell(request.sources[0], settings)], silent)
    assert row.failed and "loss" in row.found["error"]
    assert Laboratory(tmp_path, JUDGE).rows([row.cell], silent) == [row]


def test_a_table_of_rows(make_request: Make, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    cells = cells_of(make_request("quickbrush-small"), (0.1, 1.0))
    rows = Laboratory(tmp_path, JUDGE).rows(cells, silent)
    odd = Row(
        dataclasses.replace(cells[0], settings={**cells[0].settings, "style_taps": "stem"}),
        {**rows[0].found, "error": "broke off"},
    )
    write_table([*rows, odd], tmp_path / "results.parquet")
    found = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert [each["setting_content_weight"] for each in found] == [0.1, 1.0, 0.1]
    assert [each["setting_style_taps"] for each in found] == [None, None, "stem"]
    assert [each["error"] for each in found] == [None, None, "broke off"]
    assert found[0]["style_distance"] == pytest.approx(rows[0].found["style_distance"])
    assert found[0]["command"].startswith("bitbrush paint ")
    assert json.loads(found[0]["losses"])


def test_no_pyarrow_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"bitbrush\[lab\]"):
        write_table([], Path("nowhere.parquet"))
