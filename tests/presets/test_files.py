"""Presets from files: those that ship are good, and what is wrong with others is said in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitbrush.errors import InputError
from bitbrush.presets import Finish, Print, load_preset, preset_names, shipped_file
from bitbrush.presets.files import parse_preset
from bitbrush.style.defaults import resolved
from bitbrush.style.settings import PaintSettings

GOOD = """
description = "a look"
style = "waves"
crop = "2:3"

[settings]
style_taps = ["stem", "stage2.block3"]
tv_weight = 0
average = 0.5

[finish]
kind = "tones"
inks = ["#000000", "#808080", "#ffffff"]
dither = "ordered"
across = 100

[print]
pixels = 1500
"""


def test_a_file_says_all_of_a_preset() -> None:
    preset = parse_preset(GOOD.encode(), "mine.toml", "folder/mine.toml")
    assert (preset.name, preset.description, preset.style) == ("mine.toml", "a look", "waves")
    assert preset.crop == (2, 3) and preset.print == Print(1500, 300)
    assert preset.settings == {"style_taps": "stem,stage2.block3", "tv_weight": 0, "average": 0.5}
    inks = ("#000000", "#808080", "#ffffff")
    assert preset.finish == Finish("tones", inks=inks, dither="ordered", across=100)


def test_a_description_is_enough() -> None:
    preset = parse_preset(b'description = "plain"', "plain.toml", "plain.toml")
    assert preset.with_explicit({}) == (PaintSettings(), preset)
    assert (preset.style, preset.crop, preset.finish, preset.print) == (None, None, None, None)


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_preset_is_a_look_of_its_own(name: str) -> None:
    preset = load_preset(name)
    settings, kept = preset.with_explicit({})
    assert resolved(settings).network.startswith("quickbrush") and kept is preset
    # A sheet of them needs no style, and they are for print.
    assert preset.style is not None and preset.finish is not None
    assert preset.crop is not None and preset.print is not None
    assert preset.print.pixels is not None and preset.print.pixels >= 1500
    assert preset.settings and 20 <= len(preset.description) <= 80


def test_there_are_presets_enough_and_no_two_are_the_same() -> None:
    presets = [load_preset(name) for name in preset_names()]
    assert len(presets) >= 10
    assert len({preset.finish for preset in presets}) == len(presets)
    looks = {(p.style, tuple(sorted(p.settings.items()))) for p in presets}
    assert len(looks) == len(presets)


def test_explicit_settings_win_even_with_the_value_of_their_default() -> None:
    preset = parse_preset(GOOD.encode(), "mine.toml", "mine.toml")
    settings, kept = preset.with_explicit({"tv_weight": 0.002, "steps": 7})
    assert (settings.tv_weight, settings.steps, settings.average) == (0.002, 7, 0.5)
    assert kept is preset
    settings, kept = preset.with_explicit({"size": 512})
    assert settings.size == 512 and kept.print == Print(None, 300)


def test_explicit_settings_that_exclude_the_presets_are_named() -> None:
    preset = parse_preset(GOOD.encode(), "mine.toml", "mine.toml")
    with pytest.raises(InputError, match=r"with preset mine.toml: --style-taps has no meaning"):
        preset.with_explicit({"style_weight": 0.0})


def test_given_styles_come_before_the_presets() -> None:
    preset = parse_preset(GOOD.encode(), "mine.toml", "mine.toml")
    assert preset.styles([]) == ["waves"] and preset.styles(["a", "b"]) == ["a", "b"]
    plain = parse_preset(b'description = "plain"', "plain.toml", "plain.toml")
    with pytest.raises(InputError, match=r"preset plain.toml brings no style .*; name a STYLE"):
        plain.styles([])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("description", "is not TOML: .*'='"),
        ("[" * 60000, "is not TOML"),
        ("#" * 70000, "too large for a preset"),
        ("# nothing", "description must be one line"),
        ("description = 3", "description must be one line"),
        ('description = "a\\u001b[31mb"', "description must be one line"),
        ('description = "' + "long " * 30 + '"', "more than 120 characters"),
        ("{d}\nsettigns = 3", "unknown key 'settigns'; did you mean 'settings'"),
        ("{d}\nstyle = 'mosiac'", "style: unknown .* 'mosiac'; did you mean 'mosaic'"),
        ("{d}\nstyle = '../secret.png'", "style: unknown built-in style"),
        ("{d}\nstyle = []", "style: unknown built-in style"),
        ("{d}\ncrop = 'circle'", "crop must be 'square' or WIDTH:HEIGHT"),
        ("{d}\ncrop = '9:1'", "crop must be"),
        ("{d}\ncrop = 1", "crop must be"),
        ("{d}\nsettings = 3", "settings must be a table"),
        ("{d}\nfinish = 3", "finish must be a table"),
        ("{d}\n[settings]\nstile_taps = 3", "settings: unknown key 'stile_taps'; did you mean"),
        ("{d}\n[settings]\nthreads = 3", "settings.threads is no part of a look"),
        ("{d}\n[settings]\nstyle_weights = [1]", "settings.style_weights is no part"),
        ("{d}\n[settings]\nsize = '512'", "settings.size must be a whole number, not '512'"),
        ("{d}\n[settings]\nsteps = true", "settings.steps must be a whole number, not True"),
        ("{d}\n[settings]\nblur_gradient = 0", "settings.blur_gradient must be true or false"),
        ("{d}\n[settings]\nstatistic = 3", "settings.statistic must be text"),
        ("{d}\n[settings]\ntv_weight = -1", "settings.tv_weight: --tv-weight must be"),
        ("{d}\n[settings]\ntv_weight = nan", "settings.tv_weight: --tv-weight must be"),
        ("{d}\n[settings]\nstatistic = 'gramm'", "settings.statistic: .*did you mean 'gram'"),
        ("{d}\n[settings]\nstyle_taps = 'stem:x'", "settings.style_taps: .* is not NAME"),
        ("{d}\n[settings]\nweights = '/etc/passwd'", "settings.weights: unknown word"),
        ("{d}\n[settings]\ninit = 'mine.png'", "settings.init: unknown word"),
        ("{d}\n[settings]\nnetwork = 'quickbush'", "settings: .*did you mean 'quickbrush'"),
        ("{d}\n[settings]\nstyle_weight = 0\nstyle_taps = 'stem'", "settings: --style-taps has no"),
        ("{d}\n[finish]\ncolours = 3", "finish.kind is missing"),
        ("{d}\n[finish]\nkind = 'tone'", "finish: unknown kind 'tone'; did you mean 'tones'"),
        ("{d}\n[finish]\nkind = 3", "finish.kind must be text"),
        ("{d}\n[finish]\ncolor = 3", "finish: unknown key 'color'; did you mean 'colours'"),
        ("{d}\n[finish]\nkind = 'posterise'", "finish: posterise takes either colours or inks"),
        ("{d}\n[finish]\nkind = 'posterise'\ncolours = 1", "finish: colours must be between 2"),
        ("{d}\n[finish]\nkind = 'tones'\ncolours = 3", "finish: colours has no meaning for tones"),
        ("{d}\n[finish]\nkind = 'tones'\ninks = '#000000'", "finish.inks must be a list of text"),
        ("{d}\n[finish]\nkind = 'tones'\ninks = ['#000000']", "finish: tones takes 2 to 64 inks"),
        ("{d}\n[finish]\nkind = 'tones'\ninks = ['black', 'red']", "inks are written '#rrggbb'"),
        ("{d}\n[print]\npixels = 20", "print: pixels must be between 32 and 16384, not 20"),
        ("{d}\n[print]\ndpi = 0", "print: dpi must be between 1 and 4800, not 0"),
        ("{d}\n[print]\ninches = 5", "print: unknown key 'inches'"),
    ],
)
def test_a_bad_file_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("{d}", 'description = "a look"'), encoding="utf-8")
    with pytest.raises(InputError, match=said) as raised:
        load_preset(path)
    assert str(raised.value).startswith(str(path)) and "\n" not in str(raised.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file .*none.toml"):
        load_preset(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="it is not UTF-8"):
        load_preset(tmp_path / "bytes.toml")


@pytest.mark.parametrize("name", ["cassete", "../shipped/riso", "/etc/passwd", ""])
def test_a_name_is_one_of_those_that_ship(name: str) -> None:
    with pytest.raises(InputError, match="unknown preset"):
        load_preset(name)
    with pytest.raises(InputError, match="unknown preset"):
        shipped_file(name)


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(InputError, match="did you mean 'cassette'"):
        load_preset("cassete")


def test_the_readme_lists_them() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {load_preset(name).description} |\n" for name in preset_names()]
    assert "".join(rows) in readme
