"""What each lesson plans, and what it says of rows that are made up to be clear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bitbrush.lab.accuracy import Accuracy
from bitbrush.lab.contestants import RANDOM, Contestant
from bitbrush.lab.frontiers import REFERENCE
from bitbrush.lab.lessons import (
    Request,
    content_taps,
    gallery,
    networks,
    pooling,
    style_taps,
    taps_of,
    tv,
)
from bitbrush.lab.lessons.every import LESSONS
from bitbrush.lab.plan import Cell, cells_once
from bitbrush.lab.report import Verdict
from bitbrush.lab.rows import Row
from bitbrush.style.settings import make_settings

Make = Callable[..., Request]
Figures = Callable[[Cell], dict[str, Any]]


def rows_of(cells: Sequence[Cell], figures: Figures) -> list[Row]:
    """Rows with figures; where none are given, style is 0.1 over content, and all else clean."""
    found = []
    for cell in cells:
        content = 1 / (1 + cell.settings.get("content_weight", 0.08) * 10)
        plain = {
            "network": cell.settings["network"],
            "content_distance": content,
            "style_distance": 0.1 / content,
            "grid": 1.0,
            "grid_of_style": 1.0,
            "noise": 1.0,
            "chroma_noise": 1.0,
            "border": 1.0,
            "seconds": 1.0,
            "steps": 10,
            "peak_mb": 500.0,
            "error": None,
        }
        found.append(Row(cell, plain | figures(cell)))
    return found


def of_label(cell: Cell) -> dict[str, Any]:
    """Tells networks of the same name apart, as what is painted does."""
    return {"network": cell.facts["network"]}


def verdict(verdicts: Sequence[Verdict], words: str) -> Verdict:
    (found,) = [each for each in verdicts if words in each.claim]
    return found


@pytest.mark.parametrize("name", LESSONS)
def test_every_plan_can_be_painted_and_told(name: str, make_request: Make) -> None:
    lesson = LESSONS[name]
    request = make_request("quickbrush", "vgg19-16x", pairs=3)
    cells = lesson.cells(request)
    assert cells
    for cell in cells_once(cells):
        settings = make_settings(cell.settings)
        assert settings.network in request.networks
        taps = taps_of(settings.network)
        for named in (settings.content_taps, settings.style_taps):
            assert named is None or {t.partition(":")[0] for t in named.split(",")} <= set(taps)
    places = [(cell.sheet, cell.row, cell.column, cell.sources) for cell in cells]
    assert len(set(places)) == len(places)
    # With all rows, with some, and with none there is something to say.
    rows = rows_of(cells, lambda cell: {})
    for part in (rows, rows[: len(rows) // 2], []):
        findings = lesson.findings(request, part)
        assert findings.tables
        for table in findings.tables:
            assert all(len(row) == len(table.header) for row in table.rows)
        for each in findings.verdicts:
            assert each.outcome != "not tested" or each.command


def test_total_variation_is_needed_by_whom_it_helps(make_request: Make) -> None:
    request = make_request("quickbrush", "vgg19-16x", pairs=2)
    cells = tv.cells(request)
    times = [cell.facts["times"] for cell in cells if "times" in cell.facts]
    assert sorted(set(times)) == list(tv.TIMES) and tv.TIMES[0] == 0 and tv.TIMES[-1] == 1e6

    def noisy_without(*names: str) -> Figures:
        def figures(cell: Cell) -> dict[str, Any]:
            none = cell.facts.get("times") == 0 and cell.settings["network"] in names
            return {"noise": 1.5} if none else {}

        return figures

    found = tv.findings(request, rows_of(cells, noisy_without("quickbrush"))).verdicts
    assert verdict(found, "Binary").outcome == "confirmed"
    assert verdict(found, "Float").outcome == "confirmed"
    found = tv.findings(request, rows_of(cells, noisy_without("vgg19-16x"))).verdicts
    assert verdict(found, "Binary").outcome == "refuted"
    assert verdict(found, "Float").outcome == "refuted"
    found = tv.findings(request, []).verdicts
    assert {each.outcome for each in found} == {"not tested"}
    # One pair says nothing of others.
    request = make_request("quickbrush")
    lone = tv.findings(request, rows_of(tv.cells(request), noisy_without("quickbrush"))).verdicts
    assert verdict(lone, "Binary").outcome == "mixed"


def test_the_best_weight_is_not_judged_by_the_pairs_it_was_chosen_on(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)

    def by_chance(cell: Cell) -> dict[str, Any]:
        # Each pair has a weight of its own that shines there alone.
        shines = tv.TIMES[1 + request.sources.index(cell.sources)]
        return {"noise": 1.0 if cell.facts.get("times") == shines else 1.5}

    rows = rows_of(tv.cells(request), by_chance)
    found = verdict(tv.findings(request, rows).verdicts, "Binary")
    assert found.outcome == "refuted" and "1.00 (1.00 to 1.00)" in found.evidence


def test_what_holds_of_one_pair_and_not_of_another_is_no_verdict(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=2)

    def noisy_once(cell: Cell) -> dict[str, Any]:
        noisy = cell.facts.get("times") == 0 and cell.sources == request.sources[0]
        return {"noise": 1.5} if noisy else {}

    found = verdict(tv.findings(request, rows_of(tv.cells(request), noisy_once)).verdicts, "Binary")
    assert found.outcome == "mixed" and "1.22 (0.09 to 16.10)" in found.evidence


def test_pairs_that_lack_a_weight_take_nothing_from_the_others(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)
    beyond, *_, cut_short = request.sources

    def smooth_with_the_usual(cell: Cell) -> dict[str, Any]:
        usual = cell.facts.get("times") == 1
        if usual and cell.sources == beyond:
            return {"content_distance": 99.0}
        return {"noise": 1.0 if usual else 1.5}

    cells = [
        cell
        for cell in tv.cells(request)
        if cell.sources != cut_short or cell.facts.get("times", 0) == 0
    ]
    verdicts = tv.findings(request, rows_of(cells, smooth_with_the_usual)).verdicts
    found = verdict(verdicts, "Binary")
    assert found.outcome == "confirmed" and "1.50 (1.50 to 1.50)" in found.evidence


def test_a_network_that_painted_is_not_called_missing(make_request: Make) -> None:
    request = make_request("quickbrush")
    unjudged = rows_of(tv.cells(request), lambda cell: {"style_distance": None})
    found = verdict(tv.findings(request, unjudged).verdicts, "Binary")
    assert found.outcome == "not tested"
    assert found.evidence.startswith("quickbrush: no paintings that can be compared")
    control = Contestant("quickbrush", RANDOM, "quickbrush, random weights", False)
    request = make_request(control, pairs=2)
    found = verdict(
        tv.findings(request, rows_of(tv.cells(request), lambda cell: {})).verdicts, "Binary"
    )
    assert found.outcome == "not tested" and found.evidence.startswith("no weights")


def test_the_accident_is_a_labelled_point(make_request: Make) -> None:
    control = Contestant("vgg19-16x", RANDOM, "vgg19-16x, random weights", False)
    request = make_request("quickbrush", "squeezenet", control, pairs=2)
    cells = tv.cells(request)
    accidents = [cell for cell in cells if cell.facts.get("times") == 1e6]
    for cell in accidents:
        assert "accident" in cell.column and cell.settings["tv_weight"] == 2000.0

    def grey_with(*names: str) -> Figures:
        def figures(cell: Cell) -> dict[str, Any]:
            grey = cell in accidents and cell.settings["network"] in names
            return {"content_distance": 1.5} if grey else {}

        return figures

    found = tv.findings(request, rows_of(cells, grey_with("quickbrush", "squeezenet")))
    assert verdict(found.verdicts, "million").outcome == "refuted"
    # Of one network it holds, and not of the other; the control does not count.
    mixed = tv.findings(request, rows_of(cells, grey_with("quickbrush"))).verdicts
    assert verdict(mixed, "million").outcome == "mixed"
    control_only = tv.findings(request, rows_of(cells, grey_with("vgg19-16x"))).verdicts
    assert verdict(control_only, "million").outcome == "confirmed"
    lone = make_request("quickbrush")
    one_pair = tv.findings(lone, rows_of(tv.cells(lone), grey_with("quickbrush"))).verdicts
    assert verdict(one_pair, "million").outcome == "mixed"
    # Text is drawn as paths, with what it says in a comment.
    assert all(b"accident" in figure.svg for figure in found.figures)


def test_a_gallery_is_every_pair_by_every_network(make_request: Make) -> None:
    request = make_request("quickbrush", "vgg19-16x", pairs=4)
    cells = gallery.cells(request)
    assert len(cells) == len({cell.key for cell in cells}) == 8
    assert {(cell.row, cell.column) for cell in cells} == {
        (f"content{c}", f"style{s}") for c in range(2) for s in range(2)
    }
    assert all(cell.settings == request.settings(cell.sheet) for cell in cells)

    def slow(cell: Cell) -> dict[str, Any]:
        return {"seconds": 2.0 if cell.row == "content1" else 1.0}

    networks, paintings = gallery.findings(request, rows_of(cells, slow)).tables
    place = paintings.header.index("s")
    assert [row[place] for row in paintings.rows] == [1.0, 1.0, 2.0, 2.0] * 2
    assert [row[:2] for row in networks.rows] == [["quickbrush", 4], ["vgg19-16x", 4]]
    assert networks.rows[0][networks.header.index("s")] == 1.5


def test_style_taps_has_no_content_and_no_colours(make_request: Make) -> None:
    control = Contestant("quickbrush-small", RANDOM, "quickbrush-small, random weights", False)
    request = make_request("quickbrush", control, pairs=2)
    cells = style_taps.cells(request)
    assert len(cells) == 2 * 2 * (len(taps_of("quickbrush")) + len(taps_of("quickbrush-small")))
    for cell in cells:
        assert (cell.settings["content_weight"], cell.settings["colour_weight"]) == (0, 0)

    def deep(cell: Cell) -> dict[str, Any]:
        return {"style_distance": 0.3 if cell.facts["tap"] == "stage2.block3" else 0.9}

    (found,) = style_taps.findings(request, rows_of(cells, deep)).verdicts
    assert found.outcome == "confirmed" and "stage2.block3" in found.evidence
    (found,) = style_taps.findings(request, rows_of(cells, lambda cell: {})).verdicts
    assert found.outcome == "confirmed"
    one = make_request("quickbrush")
    cells = style_taps.cells(one)
    (found,) = style_taps.findings(one, rows_of(cells, deep)).verdicts
    assert found.outcome == "mixed" and "one pair" in found.evidence
    # Where some are missing, the best one may be among them.
    (found,) = style_taps.findings(one, rows_of(cells[:-1], deep)).verdicts
    assert found.outcome == "not tested" and "10 of 11 taps" in found.evidence


def test_the_best_tap_is_not_judged_by_the_pairs_it_was_chosen_on(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)
    taps = taps_of("quickbrush")

    def by_chance(cell: Cell) -> dict[str, Any]:
        # Each pair has a tap of its own that shines there alone.
        shines = taps[request.sources.index(cell.sources)]
        return {"style_distance": 0.01 if cell.facts["tap"] == shines else 0.9}

    cells = style_taps.cells(request)
    (found,) = style_taps.findings(request, rows_of(cells, by_chance)).verdicts
    assert found.outcome == "refuted" and "0.90 (0.90 to 0.90)" in found.evidence

    def deep(cell: Cell) -> dict[str, Any]:
        return {"style_distance": 0.3 if cell.facts["tap"] == taps[-1] else 0.9}

    # The last pair lacks its last tap; the other three say it all the same.
    (found,) = style_taps.findings(request, rows_of(cells[:-1], deep)).verdicts
    assert found.outcome == "confirmed"


def test_the_winner_is_chosen_on_other_pairs(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)
    cells = content_taps.cells(request)

    def figures(cell: Cell) -> dict[str, Any]:
        good = cell.facts.get("choice") == ("stage3.block2", "its own")
        return {"style_distance": 0.09 * 1.8} if good else {}

    rows = rows_of(cells, figures)
    (found,) = content_taps.findings(request, rows).verdicts
    assert found.outcome == "confirmed" and "4 times of 4" in found.evidence
    assert "stage3.block2" in found.evidence

    def lucky(cell: Cell) -> dict[str, Any]:
        # Each of four combinations shines on one pair alone: nothing that holds elsewhere.
        choices = list(content_taps.choices("quickbrush"))[1:5]
        place = request.sources.index(cell.sources)
        alone = cell.facts.get("choice") == choices[place]
        other = cell.facts.get("choice") in choices
        return {"style_distance": 0.18 * (0.5 if alone else 1.3 if other else 1.0)}

    reference = [cell for cell in cells if cell.sheet == REFERENCE]
    mixed = rows_of(reference, lambda cell: {})
    mixed += rows_of([c for c in cells if c.sheet != REFERENCE], lucky)
    (found,) = content_taps.findings(request, mixed).verdicts
    assert found.outcome == "refuted"
    (found,) = content_taps.findings(make_request("quickbrush"), []).verdicts
    assert found.outcome == "not tested"


def test_content_taps_of_a_control_get_no_verdict(make_request: Make) -> None:
    control = Contestant("quickbrush", RANDOM, "quickbrush, random weights", False)
    request = make_request("quickbrush", control, pairs=3)
    found = content_taps.findings(request, rows_of(content_taps.cells(request), of_label))
    (only,) = found.verdicts
    assert only.claim.startswith("For quickbrush there")
    assert {row[0] for row in found.tables[0].rows} == {"quickbrush", control.label}
    assert len(found.figures) == 2


def test_combinations_are_compared_on_the_pairs_painted_with_all(make_request: Make) -> None:
    request = make_request("quickbrush", pairs=4)
    cells = content_taps.cells(request)
    names = list(content_taps.choices("quickbrush"))
    good, far = ("stage3.block2", "its own"), ("stem", "its own")

    def figures(cell: Cell) -> dict[str, Any]:
        choice = cell.facts.get("choice")
        if choice == far and cell.sources == request.sources[0]:
            return {"content_distance": 99.0}
        return {"style_distance": 0.16} if choice == good else {}

    # A budget ended before the last pair had the good one, and others.
    last = [cell for cell in cells if cell.sources == request.sources[3]]
    part = [cell for cell in cells if cell not in last[-names.index(good) :]]
    (found,) = content_taps.findings(request, rows_of(part, figures)).verdicts
    assert found.outcome == "confirmed"
    assert "3 times of 3: content by stage3.block2" in found.evidence
    compared = f"{len(names) - 1} of {len(names)} combinations can be compared on 3 of 4 pairs"
    assert compared in found.evidence
    two = [cell for cell in part if cell.sources != request.sources[2]]
    (found,) = content_taps.findings(request, rows_of(two, figures)).verdicts
    assert found.outcome == "not tested" and "on 2 of 4 pairs" in found.evidence


def test_pooling_and_additions(make_request: Make) -> None:
    control = Contestant("vgg19", RANDOM, "vgg19, random weights", False)
    request = make_request(
        "quickbrush", "quickbrush-small", "vgg19-16x", "squeezenet", control, pairs=2
    )
    cells = pooling.cells(request)
    painted = {cell.facts["network"] for cell in cells if "pooling" in cell.facts}
    assert painted == {"vgg19-16x", "squeezenet", control.label}

    def odd_control(cell: Cell) -> dict[str, Any]:
        if cell.settings["network"] != "vgg19":
            return {}
        return {"grid": 0.01 if cell.settings.get("pooling") == "average" else 0.001}

    found = pooling.findings(request, rows_of(cells, odd_control)).verdicts
    assert verdict(found, "no difference").outcome == "confirmed"
    assert verdict(found, "layers that add").outcome == "refuted"

    def blocky(cell: Cell) -> dict[str, Any]:
        if cell.settings["network"].startswith("quickbrush"):
            return {"grid": 2.0}
        return {"grid": 0.5 if cell.settings.get("pooling") == "average" else 1.0}

    rows = rows_of(cells, blocky)
    found = pooling.findings(request, rows).verdicts
    assert verdict(found, "no difference").outcome == "refuted"
    additions = verdict(found, "layers that add")
    assert additions.outcome == "confirmed" and "2.00 (2.00 to 2.00)" in additions.evidence
    lone = pooling.findings(make_request("quickbrush"), []).verdicts
    assert {each.outcome for each in lone} == {"not tested"}


@pytest.mark.parametrize(
    ("names", "pairs", "why"),
    [
        (("quickbrush", "vgg19-16x", "squeezenet"), 2, "two of each kind"),
        (("quickbrush", "quickbrush-small", "vgg19-16x", "squeezenet"), 1, "one pair"),
    ],
)
def test_one_network_that_adds_or_one_pair_proves_nothing(
    make_request: Make, names: tuple[str, ...], pairs: int, why: str
) -> None:
    request = make_request(*names, pairs=pairs)

    def blocky(cell: Cell) -> dict[str, Any]:
        return {"grid": 2.0 if cell.settings["network"].startswith("quickbrush") else 1.0}

    rows = rows_of(pooling.cells(request), blocky)
    found = verdict(pooling.findings(request, rows).verdicts, "layers that add")
    assert found.outcome == "mixed" and why in found.evidence


def test_networks_are_compared_at_equal_content(
    make_request: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request("quickbrush", "quickbrush-small", pairs=2)
    cells = networks.cells(request)

    def weaker(cell: Cell) -> dict[str, Any]:
        content = 1 / (1 + cell.settings["content_weight"] * 10)
        times = 1.5 if cell.settings["network"] == "quickbrush-small" else 1.0
        return {"style_distance": times * 0.1 / content}

    found = networks.findings(request, rows_of(cells, weaker))
    (table,) = found.tables
    by_name = {row[0]: row for row in table.rows}
    assert by_name["quickbrush"][2] == "1.00 (1.00 to 1.00)"
    assert by_name["quickbrush-small"][2] == "1.50 (1.50 to 1.50)"
    monkeypatch.setattr(networks, "find_default", lambda name: None)
    for each in networks.findings(request, []).verdicts:
        assert each.outcome == "not tested" and each.evidence.startswith("no weights")
        assert each.command and "train classifier" in each.evidence


def test_claims_are_tested_on_networks_trained_here_but_not_on_controls(
    make_request: Make, tmp_path: Path
) -> None:
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(bytes(2_000_000))
    small, large = (
        Contestant(name, str(weights), f"{name}, ours, 1 h, top-1 20.0 %", False)
        for name in ("quicknet", "quicknet-large")
    )

    def stronger(cell: Cell) -> dict[str, Any]:
        larger = cell.settings["network"] == "quicknet-large"
        style = (0.1 if larger else 0.2) * (1 + cell.settings["content_weight"])
        return {"style_distance": style, "grid": 2.0 if larger else 1.0}

    request = make_request("quickbrush", small, large)
    found = networks.findings(request, rows_of(networks.cells(request), stronger))
    larger = verdict(found.verdicts, "Larger QuickNets")
    assert "style distance at equal content 0.50 (one pair)" in larger.evidence
    assert "grid index at equal content weights 2.00 (one pair)" in larger.evidence
    assert larger.outcome == "mixed"
    request = make_request("quickbrush", small, large, pairs=2)
    rows = rows_of(networks.cells(request), stronger)
    found = networks.findings(request, rows)
    larger = verdict(found.verdicts, "Larger QuickNets")
    assert larger.outcome == "confirmed" and large.label in larger.evidence
    # A part of the plan is compared where both have painted with the same content weight.
    names = [each for each in rows if each.fact("network") != "quickbrush"]
    part = verdict(networks.findings(request, names[:-1]).verdicts, "Larger QuickNets")
    assert part.evidence == larger.evidence
    table = {row[0]: row for row in found.tables[0].rows}
    published = found.tables[0].header.index("published top-1, %")
    assert table[small.label][published] is None
    assert table[small.label][found.tables[0].header.index("file, MB")] == 2.0

    def as_it_happens(cell: Cell) -> dict[str, Any]:
        larger = cell.settings["network"] == "quicknet-large"
        odd = cell.sources == request.sources[0]
        style = (0.1 if larger == odd else 0.2) * (1 + cell.settings["content_weight"])
        return {"style_distance": style, "grid": 2.0 if larger else 1.0}

    request = make_request(small, large, pairs=2)
    found = networks.findings(request, rows_of(networks.cells(request), as_it_happens))
    larger = verdict(found.verdicts, "Larger QuickNets")
    assert larger.outcome == "mixed" and "1.00 (0.00 to " in larger.evidence

    control = Contestant("quicknet-large", RANDOM, "quicknet-large, random weights", False)
    request = make_request("quickbrush", small, control)
    found = networks.findings(request, rows_of(networks.cells(request), stronger))
    assert verdict(found.verdicts, "Larger QuickNets").outcome == "not tested"
    assert control.label in {row[0] for row in found.tables[0].rows}


def test_a_measured_share_stands_beside_the_published_one(make_request: Make) -> None:
    seen = {"squeezenet": Accuracy(pictures=125, top1=72, top5=100)}
    names = ["squeezenet", "quickbrush"]
    (table,) = networks.findings(make_request(*names, seen=seen), []).tables
    assert table.header[-2:] == ["published top-1, %", "top-1 measured here"]
    assert [row[-2:] for row in table.rows] == [[58.178, "57.6 % (49 to 66)"], [None, None]]
    assert "Top-1 measured on 125 pictures" in table.note
    (table,) = networks.findings(make_request(*names), []).tables
    assert table.header[-1] == "published top-1, %" and "measured" not in table.note
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_a_network_that_keeps_more_of_the_photograph_has_no_weaker_style(
    make_request: Make,
) -> None:
    request = make_request("dorefanet", "quicknet", pairs=2)

    def careful(cell: Cell) -> dict[str, Any]:
        if cell.settings["network"] == "quicknet":
            return {}
        content = 1 / (1 + cell.settings["content_weight"] * 20)
        # On the same frontier, with half the blocks and three times the grain.
        figures = {"content_distance": content, "style_distance": 0.1 / content}
        return figures | {"grid": 0.5, "noise": 3.0}

    rows = rows_of(networks.cells(request), careful)
    found = verdict(networks.findings(request, rows).verdicts, "dorefanet")
    assert "style distance at equal content 1.00 (1.00 to 1.00)" in found.evidence
    assert "content weights 1.50 (1.50 to 1.50)" in found.evidence
    assert found.outcome == "mixed"


def test_every_size_of_a_family_that_painted_is_compared(make_request: Make) -> None:
    def by_size(cell: Cell) -> dict[str, Any]:
        name = cell.settings["network"]
        place = next(sizes.index(name) for sizes in networks.SIZES if name in sizes)
        return {
            "style_distance": 0.1 * (1 + cell.settings["content_weight"]) / 2**place,
            "grid": 2.0**place,
        }

    def larger(*names: str, figures: Figures = by_size) -> Verdict:
        request = make_request(*names, pairs=2)
        rows = rows_of(networks.cells(request), figures)
        return verdict(networks.findings(request, rows).verdicts, "Larger QuickNets")

    v1 = larger("quicknet-v1-small", "quicknet-v1", "quickbrush", figures=lambda cell: {})
    assert v1.outcome == "mixed" and "quicknet-v1 against quicknet-v1-small" in v1.evidence
    assert larger("quicknet-v1", "quicknet-v1-large").outcome == "confirmed"
    names = ("quicknet", "quicknet-large", "quicknet-xl")
    every = larger(*names)
    assert every.outcome == "confirmed" and "quicknet-xl against quicknet-large" in every.evidence

    def but_the_largest(cell: Cell) -> dict[str, Any]:
        largest = {"style_distance": 0.2 * (1 + cell.settings["content_weight"]), "grid": 1.0}
        return largest if cell.settings["network"] == "quicknet-xl" else by_size(cell)

    assert larger(*names, figures=but_the_largest).outcome == "mixed"


def test_only_networks_without_weights_are_called_so(
    make_request: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(networks, "find_default", lambda name: None)
    weights = tmp_path / "q.safetensors"
    weights.touch()
    small = Contestant("quicknet", str(weights), "quicknet, ours", False)
    request = make_request(small)
    found = verdict(networks.findings(request, []).verdicts, "Larger QuickNets")
    assert found.evidence.startswith("no weights: quicknet-large is ")
    assert "quicknet is" not in found.evidence
    trains, paints = found.command.split(" && ")
    assert trains.startswith("bitbrush train classifier quicknet-large --data ")
    assert "--network quicknet-large=runs/quicknet-large/quicknet-large.safetensors" in paints
    assert f"--network quicknet={weights} " in paints
    both = make_request(small, "quicknet-large")
    found = verdict(networks.findings(both, []).verdicts, "Larger QuickNets")
    assert found.outcome == "not tested" and "no paintings that can be compared" in found.evidence
