"""The page of an atlas, in a browser and without."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bitbrush.lab.atlas.atlas import Atlas, Plan
from bitbrush.lab.atlas.layout import Cell
from bitbrush.lab.atlas.page import write_page

pytest.importorskip("jinja2")


def made(*classes: str) -> Atlas:
    """A map of two by two cells, of which only the first has vectors."""
    plan = Plan("quickbrush-small", "stem", [], 16, side=2, cell=32, steps=1, channels=1)
    cell = Cell(0, 0, 16, torch.ones(3).numpy(), classes)
    tile = torch.zeros(1, 3, 32, 32)
    return Atlas(plan, 2, [(cell, tile)], [(17, tile)], 16, 1)


def test_channels_have_their_numbers(tmp_path: Path) -> None:
    write_page([made()], tmp_path / "page.html", {})
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'alt="channel 17"' in text and "<figcaption>17</figcaption>" in text


def test_where_classes_come_from_is_said_where_there_are_some(tmp_path: Path) -> None:
    said = []
    for each in (made("goldfish"), made()):
        write_page([each], tmp_path / "page.html", {})
        text = (tmp_path / "page.html").read_text(encoding="utf-8")
        said.append("answers to whole pictures" in text)
    assert said == [True, False]


@pytest.mark.slow
def test_maps_zoom_and_move_together(tmp_path: Path) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        pytest.skip("there is no chromium on PATH; the page was not opened")
    from playwright.sync_api import sync_playwright

    page = tmp_path / "page.html"
    write_page([made(), made()], page, {})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page()
        wrong: list[str] = []
        view.on("pageerror", lambda error: wrong.append(str(error)))
        view.on("console", lambda message: wrong.append(message.text))
        view.goto(page.as_uri())
        view.locator(".window").first.hover()
        view.mouse.wheel(0, -400)
        one, other = transforms(view)
        assert "scale(2.7" in one and one == other
        view.locator(".map button").first.focus()
        assert "vectors" in view.locator(".caption").first.inner_text()
        # At the lower right no cell covers the picture of the map, which browsers drag themselves.
        box = view.locator(".window").first.bounding_box()
        right, bottom = box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"]
        view.mouse.move(right, bottom)
        view.mouse.down()
        view.mouse.move(right - 70, bottom - 40, steps=7)
        moved = transforms(view)
        assert place(moved[0]) == pytest.approx((place(one)[0] - 70, place(one)[1] - 40))
        assert moved[0] == moved[1]
        # As where a finger's drag turns into something else: no more follows it.
        view.evaluate("window.dispatchEvent(new PointerEvent('pointercancel'))")
        view.mouse.move(right - 100, bottom - 100)
        assert transforms(view) == moved
        assert wrong == []
        browser.close()


def transforms(view: Any) -> list[str]:
    """What each map is moved and scaled by."""
    found: list[str] = view.locator(".map").evaluate_all(
        "maps => maps.map(map => map.style.transform)"
    )
    return found


def place(transform: str) -> tuple[float, float]:
    """x and y of translate(xpx, ypx) scale(s)."""
    x, y = transform.partition(")")[0].removeprefix("translate(").replace("px", "").split(",")
    return float(x), float(y)
