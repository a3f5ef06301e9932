"""The page holds everything itself, and works in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import bitbrush.cli.lab
from bitbrush.cli.app import app
from bitbrush.lab.contestants import contestant, contestants
from bitbrush.lab.lessons import Request
from bitbrush.lab.plan import Cell
from bitbrush.lab.report import Figure, Findings, Table, Verdict, write_report
from bitbrush.lab.report.plots import bars, curves
from bitbrush.lab.runner import Laboratory

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A report of two paintings, one of which broke off."""
    from bitbrush.lab.plan import sources_of

    folder = tmp_path_factory.mktemp("report")
    sources = sources_of(pictures / "content", str(pictures / "style"))[0]
    request = Request([sources], contestants(["quickbrush-small"]), 48, 3, 1)
    cells = [
        Cell(sources, request.settings("quickbrush-small", tv_weight=w), "Sheet", "row", f"{w:g}")
        for w in (0.1, 1.0)
    ]
    rows = Laboratory(folder, "quickbrush").rows(cells, lambda done, note: None)
    findings = Findings(
        [Verdict(f"A claim {HOSTILE}", "not tested", "why", "bitbrush lab tv …")],
        [Table("Figures", ["name", "value"], [["a", 0.12345], ["b", None]], "A note.")],
        [Figure("A plot", curves({"one": [(0, 1), (10, 2)]}, "x", "y", log_x=True))],
    )
    write_report(folder / "report.html", "A title", "A question?", rows, findings, {"seed": "0"})
    return folder / "report.html"


def test_all_is_in_one_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)|https?:", text)
    assert text.count("data:image/jpeg") == 4 and text.count("data:image/svg+xml") == 1
    assert HOSTILE not in text and html.escape(HOSTILE) in text
    for words in ("A question?", "not tested", "0.123", "A note.", "bitbrush paint"):
        assert words in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_plots_are_the_same_each_time() -> None:
    series = {"a": [(1.0, 2.0), (2.0, 1.0)], "b": []}
    once, again = (curves(series, "x", "y", marks={"here": 1.5}) for _ in range(2))
    assert once == again and once.startswith(b"<?xml")
    assert b"<svg" in bars({"a": 1.0, "b": 2.0}, "x")
    assert curves({}, "x", "y") != once


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on PATH")
    # Not skipped without it: where there is a browser, it is to be used.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.slow
def test_pictures_enlarge_in_a_browser(page: Path, browser: Any) -> None:
    view = browser.new_page()
    wrong: list[str] = []
    view.on("console", lambda message: wrong.append(message.text))
    view.on("pageerror", lambda error: wrong.append(str(error)))
    view.on(
        "request", lambda r: None if r.url.startswith(("file:", "data:")) else wrong.append(r.url)
    )
    view.goto(page.as_uri())
    assert view.title() == "A title"
    shots = view.locator("figure button")
    assert shots.count() == 4
    shots.nth(2).click()
    dialog = view.locator("dialog")
    assert dialog.is_visible() and dialog.locator("code").inner_text().startswith("bitbrush paint")
    first = dialog.locator("img").get_attribute("src")
    view.keyboard.press("ArrowRight")
    second = dialog.locator("img").get_attribute("src")
    assert second != first
    view.keyboard.press("ArrowLeft")
    assert dialog.locator("img").get_attribute("src") == first
    width = dialog.locator("img").evaluate("image => image.naturalWidth")
    assert width == 48
    view.keyboard.press("Escape")
    assert not dialog.is_visible()
    # Wide tables scroll within the page; the page itself does not.
    view.set_viewport_size({"width": 400, "height": 700})
    assert view.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert wrong == []


def test_a_lesson_from_the_command_line(pictures: Path, tmp_path: Path) -> None:
    assert bitbrush.cli.lab
    folder = tmp_path / "lab"

    def run(*more: str) -> Any:
        words = ["lab", "pooling", "--content", str(pictures / "content" / "content0.png")]
        words += ["--style", "waves", "--network", "quickbrush-small", "--judge", "quickbrush"]
        words += ["--size", "48", "--steps", "2", "--threads", "1", "-o", str(folder), *more]
        return CliRunner().invoke(app, words)

    result = run()
    assert result.exit_code == 0, result.output
    assert (folder / "report.html").exists() and (folder / "results.parquet").exists()
    assert "1 of 1 paintings" in result.stdout
    words = ["lab", "tv", "--content", str(pictures / "content"), "--style", "waves"]
    again = CliRunner().invoke(app, [*words, "--judge", "quickbrush", "-o", str(folder)])
    assert again.exit_code == 2 and "pooling" in again.stderr
    for bad in (
        ["--size", "4000000"],
        ["--budget", "x"],
        ["--network", "nothing"],
        ["--network", "quickbrush="],
        ["--network", "quickbrush=nowhere.safetensors"],
    ):
        failed = run(*bad)
        assert failed.exit_code == 2 and len(failed.stderr.strip().splitlines()) == 1, failed.stderr


def test_a_gallery_has_contents_in_rows_and_styles_in_columns(
    pictures: Path, tmp_path: Path
) -> None:
    assert bitbrush.cli.lab
    words = ["lab", "gallery", "--content", str(pictures / "content"), "-o", str(tmp_path)]
    words += ["--style", str(pictures / "style"), "--network", "quickbrush-small"]
    words += ["--judge", "quickbrush", "--size", "48", "--steps", "2", "--threads", "1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    # Four paintings, and each content and style once.
    assert text.count("data:image/jpeg") == 8
    assert "random weights" not in text
    heads = re.findall(r"<th scope=\"col\">(style\d)</th>", text)
    rows = re.findall(r"<th scope=\"row\">(.*?)</th>", text)
    assert heads == ["style0", "style1"] and rows == ["", "content0", "content1"]
    for painting in (tmp_path / "paintings").glob("*.png"):
        assert f"<td>paintings/{painting.name}</td>" in text


def test_random_weights_are_a_labelled_control(pictures: Path, tmp_path: Path) -> None:
    assert bitbrush.cli.lab
    words = ["lab", "gallery", "--content", str(pictures / "content" / "content0.png")]
    words += ["--style", "waves", "--network", "quickbrush-small"]
    words += ["--network", "quickbrush-small=none", "--judge", "none", "-o", str(tmp_path)]
    words += ["--size", "48", "--steps", "2", "--threads", "1", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    trained, random = json.loads(result.stdout)["rows"]
    assert (trained["sheet"], random["sheet"]) == (
        "quickbrush-small",
        "quickbrush-small, random weights",
    )
    assert "--weights none" in random["command"] and "--weights" not in trained["command"]
    paintings = [(tmp_path / row["file"]).read_bytes() for row in (trained, random)]
    assert paintings[0] != paintings[1]
    assert "quickbrush-small, random weights" in (tmp_path / "report.html").read_text("utf-8")


def test_the_reports_figures_are_measured(make_request: Callable[..., Request]) -> None:
    from bitbrush.lab.lessons.compress import findings, measure

    found = measure(contestant("quickbrush-small"))
    (table,) = findings([found]).tables
    assert found.name == "quickbrush-small" and found.seen is None
    # 148,696 bytes are shipped; in float32 it would be 19 times as much.
    assert 0.14 < found.packed < 0.15 and found.float32 / found.packed > 15
    assert found.latency["packed"] > 0 and found.latency["float"] > 0
    assert len(table.rows[0]) == len(table.header)
