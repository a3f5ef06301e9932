"""What cannot be painted or judged is known before anything is painted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bitbrush.errors import InputError
from bitbrush.lab import checking
from bitbrush.lab.checking import check_plan
from bitbrush.lab.judge import Judge, judge_named
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import Cell, Sources

Make = Callable[..., Request]


@pytest.fixture
def judge() -> Judge:
    return judge_named("quickbrush")


def cells_of(request: Request, *more: Sources, **settings: object) -> list[Cell]:
    return [
        Cell(sources, request.settings("quickbrush-small", **settings))
        for sources in (*request.sources, *more)
    ]


def test_every_picture_is_looked_at_once(make_request: Make, judge: Judge, tmp_path: Path) -> None:
    request = make_request("quickbrush-small", pairs=4)
    looked: list[str] = []
    check_plan(cells_of(request), 1, judge, looked.append)
    assert looked == ["content0.png", "style0.png", "style1.png", "content1.png"]
    torn = tmp_path / "torn.png"
    torn.write_bytes(request.sources[0].content.read_bytes()[:200])
    with pytest.raises(InputError, match=r"torn\.png"):
        check_plan(cells_of(request, Sources(torn, "waves")), 1, judge)
    with pytest.raises(InputError, match=r"torn\.png"):
        check_plan(cells_of(request, Sources(request.sources[0].content, str(torn))), 1, judge)


def test_what_is_too_small_or_no_tap_is_said(
    make_request: Make, judge: Judge, tmp_path: Path
) -> None:
    request = make_request("quickbrush-small", size=96)
    wide = tmp_path / "wide.png"
    Image.new("RGB", (1000, 200)).save(wide)
    with pytest.raises(InputError, match=r"a painting of 96x19 px is too small"):
        check_plan(cells_of(request, Sources(wide, "waves")), 1, None)
    # Painted at twice its size it would do, but not for the judge.
    twice = cells_of(request, Sources(wide, "waves"), encode_scale=2.0)
    check_plan(twice, 1, None)
    with pytest.raises(InputError, match=r"wide\.png at 96x19 px is too small for the judge"):
        check_plan(twice, 1, judge)
    cells = [*cells_of(request), *cells_of(request, style_taps="stage1.blok2")]
    with pytest.raises(InputError, match=r"unknown tap .* did you mean"):
        check_plan(cells, 1, judge)


def test_memory_is_counted_for_all_that_paint_at_a_time(
    make_request: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = cells_of(make_request("quickbrush-small", pairs=4))
    monkeypatch.setattr(checking, "estimated_peak", lambda job: 1e9)
    monkeypatch.setattr(checking, "available_memory", lambda: 2.5e9)
    check_plan(cells, 2, None)
    with pytest.raises(InputError, match=r"3 paintings .* 3\.0 GB .* 2\.5 GB .* --workers 2"):
        check_plan(cells, 3, None)
    check_plan(cells[:2], 3, None)  # no more than two at a time
