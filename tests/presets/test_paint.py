"""Painting by presets: all that ship, the crop, the size in print, and what the file tells."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bitbrush.errors import InputError
from bitbrush.images import Picture, cropped, read_metadata
from bitbrush.presets import Finish, Preset, Print, load_preset, preset_names
from bitbrush.presets.paint import PresetSession, paint_preset
from bitbrush.presets.sheet import preset_sheet
from bitbrush.style.paint import Session
from bitbrush.style.settings import make_settings

TWO = Finish("tones", inks=("#102030", "#f0e0d0"))


def picture(height: int, width: int, alpha: bool = False) -> Picture:
    rgb = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    return Picture(rgb, rgb[:, :1] if alpha else None, (), "picture.png", "0" * 64)


@pytest.fixture(autouse=True)
def quick_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-in styles as small random pictures, since to draw them takes seconds."""
    pixels = np.random.default_rng(3).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    monkeypatch.setattr("bitbrush.style.sources._drawn", lambda name, size: pixels)


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_preset_paints(name: str) -> None:
    preset = load_preset(name)
    painting = paint_preset(picture(60, 80), name, size=64, steps=2, threads=1)
    assert preset.crop is not None and preset.finish is not None and preset.print is not None
    wide, high = preset.crop
    height, width = painting.image.shape[-2:]
    assert max(height, width) == 64 and abs(width / height - wide / high) < 0.05
    colours = painting.image.flatten(2).unique(dim=2).shape[2]
    if preset.finish.kind != "duotone":
        assert 2 <= colours <= (preset.finish.colours or len(preset.finish.inks))
    assert painting.dpi == preset.print.dpi
    made = painting.metadata["preset"]
    assert (made["name"], made["finish"]["kind"]) == (name, preset.finish.kind)
    assert painting.metadata["styles"][0]["name"] == preset.style


@pytest.mark.parametrize(
    ("size", "ratio", "left", "top", "wide", "high"),
    [
        ((48, 80), (1, 1), 16, 0, 48, 48),
        ((80, 48), (1, 1), 0, 16, 48, 48),
        ((60, 60), (2, 3), 10, 0, 40, 60),
        ((40, 60), (3, 2), 0, 0, 60, 40),
    ],
)
def test_the_crop_is_the_largest_middle_part(
    size: tuple[int, int], ratio: tuple[int, int], left: int, top: int, wide: int, high: int
) -> None:
    whole = picture(*size, alpha=True)
    part = cropped(whole, ratio)
    rows, columns = slice(top, top + high), slice(left, left + wide)
    assert torch.equal(part.rgb, whole.rgb[..., rows, columns])
    assert part.alpha is not None and whole.alpha is not None
    assert torch.equal(part.alpha, whole.alpha[..., rows, columns])
    assert (part.sha256, part.name) == (whole.sha256, whole.name)


def test_print_enlarges_before_the_finish_and_is_noted(tmp_path: Path) -> None:
    preset = Preset(
        "print", "for print", settings={"size": 40, "steps": 1}, finish=TWO, print=Print(90, 150)
    )
    painting = paint_preset(picture(32, 40, alpha=True), preset, "waves", threads=1)
    assert painting.image.shape[-2:] == (72, 90)
    # The edges between inks are as sharp as the print, so nothing was enlarged afterwards.
    assert painting.image.flatten(2).unique(dim=2).shape[2] == 2
    for ending in ("png", "tiff"):
        path = tmp_path / f"print.{ending}"
        painting.save(path)
        with Image.open(path) as saved:
            assert saved.size == (90, 72) and saved.mode == "RGBA"
            assert [round(float(dots)) for dots in saved.info["dpi"]] == [150, 150]
        metadata = read_metadata(path)
        assert (metadata["width"], metadata["height"]) == (90, 72)
        assert metadata["preset"]["print"] == {"pixels": 90, "dpi": 150}
    assert paint_preset(picture(32, 40), preset, "waves", size=50).image.shape[-2:] == (40, 50)
    poster = dataclasses.replace(preset, crop=(2, 3), print=Print(90), settings={"steps": 1})
    assert paint_preset(picture(75, 50), poster, "waves", size=75).image.shape[-2:] == (75, 50)
    poster = dataclasses.replace(poster, settings={"steps": 1, "size": 50})
    assert paint_preset(picture(75, 50), poster, "waves").image.shape[-2:] == (90, 60)


def test_a_print_too_large_for_the_memory_is_refused_before_anything_is_painted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poster = Preset("poster", "large", settings={"size": 40, "steps": 1}, print=Print(16000))
    monkeypatch.setattr("bitbrush.style.memory.available_memory", lambda: 2e9)
    with pytest.raises(InputError, match="a print of 16000x12800 px would take"):
        PresetSession(picture(32, 40), ["waves"], *poster.with_explicit({}))


def test_the_painting_under_the_finish_is_the_plain_one() -> None:
    settings = make_settings({"size": 40, "steps": 3, "threads": 1})
    preset = Preset(
        "plain", "a finish alone", finish=Finish("duotone", inks=("#000000", "#ffffff"))
    )
    content = picture(40, 40)
    plain, finishing = (
        Session(content, ["waves"], settings),
        PresetSession(content, ["waves"], settings, preset),
    )
    *_, last = plain.steps()
    *_, same = finishing.steps()
    assert torch.equal(last.picture(), same.picture())
    grey = finishing.painting(same).image
    assert torch.equal(grey[:, 0], grey[:, 1]) and not torch.equal(grey, plain.painting(last).image)


@pytest.mark.parametrize(
    "change", [{"crop": None}, {"finish": TWO}, {"print": Print(60)}], ids=lambda c: next(iter(c))
)
def test_a_run_is_another_with_another_crop_finish_or_print(change: dict[str, object]) -> None:
    settings = make_settings({"size": 48, "steps": 1, "threads": 1})
    preset = Preset("a", "a look", crop=(1, 1), print=Print(50))
    other = dataclasses.replace(preset, name="b", **change)  # type: ignore[arg-type]
    runs = [PresetSession(picture(40, 60), ["waves"], settings, p).run() for p in (preset, other)]
    assert runs[0] != runs[1]
    renamed = dataclasses.replace(preset, name="c")
    assert PresetSession(picture(40, 60), ["waves"], settings, renamed).run() == runs[0]


def test_a_sheet_has_the_picture_first_and_five_in_a_row() -> None:
    content = picture(30, 60)
    paintings = [(torch.full((1, 3, 40, 40), shade / 8), str(shade)) for shade in range(1, 7)]
    sheet = preset_sheet(content, paintings, 40)
    assert sheet.shape[2] == 2 * (40 + 14 + 6) + 6
    assert sheet.shape[3] == 6 + (80 + 6) + 4 * (40 + 6)
    # The first of the second row is the fifth painting.
    assert float(sheet[0, 0, 6 + 60 + 14 + 20, 6 + 20]) == pytest.approx(5 / 8, abs=0.01)
