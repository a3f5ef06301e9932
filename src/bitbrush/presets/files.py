"""Presets from TOML files: those that come with bitbrush, and the user's own.

A file is data. What it may say is listed here, and all of it is checked before anything is
painted, since such files are passed on.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError, unknown_name
from ..style.defaults import resolved
from ..style.settings import INITS, PaintSettings, make_settings
from ..styles import STYLES
from .preset import Finish, Preset, Print

FOLDER = Path(__file__).parent / "shipped"

ENDING = ".toml"

LARGEST_FILE = 1 << 16
"""Bytes of a preset's file."""

LONGEST_DESCRIPTION = 120
"""Characters."""

KEYS = ("description", "style", "crop", "settings", "finish", "print")

LOCAL = ("threads", "device", "engine", "precision", "style_weights")
"""Settings that belong to a machine or to the user's own styles, and not to a look."""

_Part = TypeVar("_Part", Finish, Print)


def preset_names() -> list[str]:
    """The presets that come with bitbrush, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob(f"*{ENDING}"))


def load_preset(source: str | os.PathLike[str]) -> Preset:
    """A preset by its name, or from the user's own file.

    Args:
        source: a shipped preset's name, or the path of a .toml file.
    Raises:
        InputError: an unknown name, for which the nearest is suggested, or a file that is no
            preset; the text says which key is at fault.
    """
    text = os.fspath(source)
    if text.endswith(ENDING):
        # Imported here, so that a shipped preset needs no torch.
        from ..images.files import read_bytes

        path = Path(text)
        return parse_preset(read_bytes(path), path.name, str(path))
    return parse_preset(shipped_file(text), text, text)


def shipped_file(name: str) -> bytes:
    """The file of a preset that comes with bitbrush.

    Raises:
        InputError: there is none of that name.
    """
    names = preset_names()
    if name not in names:
        raise unknown_name(f"preset (or path of a {ENDING} file)", name, names)
    return (FOLDER / f"{name}{ENDING}").read_bytes()


def parse_preset(data: bytes, name: str, where: str) -> Preset:
    """A preset from the contents of its file.

    Args:
        data: TOML in UTF-8.
        name: of the preset.
        where: what messages call the file.
    Raises:
        InputError: no TOML, an unknown key, or a value that is no good.
    """
    values = _toml(data, where)
    for key in values:
        if key not in KEYS:
            raise _at(where, None, unknown_name("key", key, KEYS))
    settings = _settings(values.get("settings", {}), where)
    return Preset(
        name=name,
        description=_description(values.get("description"), where),
        style=_style(values.get("style"), where),
        settings=settings,
        crop=_crop(values.get("crop"), where),
        finish=_part(Finish, "finish", values, where),
        print=_part(Print, "print", values, where),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _toml(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > LARGEST_FILE:
        raise InputError(f"{where} is too large for a preset: {LARGEST_FILE} bytes at most")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not TOML: it is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not TOML: {error}") from error


def _description(value: Any, where: str) -> str:
    # It is printed on terminals, which act on characters that do not print.
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InputError(f"{where}: description must be one line of text")
    if len(value) > LONGEST_DESCRIPTION:
        raise InputError(f"{where}: description has more than {LONGEST_DESCRIPTION} characters")
    return value


def _style(value: Any, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in STYLES:
        raise _at(where, "style", unknown_name("built-in style", str(value), STYLES))
    return value


def _crop(value: Any, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    parts = "1:1" if value == "square" else value
    try:
        width, height = (int(part) for part in str(parts).split(":"))
        if not (1 <= width <= 100 and 1 <= height <= 100 and 1 / 4 <= width / height <= 4):
            raise ValueError
    except ValueError:
        raise InputError(
            f"{where}: crop must be 'square' or WIDTH:HEIGHT such as '2:3' (up to 4:1), "
            f"not {value!r}"
        ) from None
    return width, height


def _settings(values: Any, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: settings must be a table")
    allowed = {
        name: field
        for name, field in PaintSettings.__dataclass_fields__.items()
        if name not in LOCAL
    }
    for name, value in values.items():
        place = f"settings.{name}"
        if name in LOCAL:
            raise InputError(f"{where}: {place} is no part of a look; give it on the command line")
        if name not in allowed:
            raise _at(where, "settings", unknown_name("key", name, allowed))
        _check_type(str(allowed[name].type), value, f"{where}: {place}")
        # One by one first, so that the message can name the key.
        _checked(make_settings, {name: value}, where, place)
    # Other values are paths, which lead nowhere on another machine.
    for name, words in (("init", INITS), ("weights", ("default", "none"))):
        if values.get(name, words[0]) not in words:
            error = unknown_name("word", values[name], words)
            raise _at(where, f"settings.{name}", error)
    _checked(lambda all_of_them: resolved(make_settings(all_of_them)), values, where, "settings")
    made = make_settings(values)
    return {name: getattr(made, name) for name in values}


def _check_type(kind: str, value: Any, place: str) -> None:
    """Stricter than the command line, where everything is text."""
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    wanted = next(known for known in words if kind.startswith(known.__name__))
    if wanted is str and place.endswith("_taps") and isinstance(value, (list, dict)):
        return
    fits = isinstance(value, (int, float) if wanted is float else wanted)
    if not fits or (isinstance(value, bool) and wanted is not bool):
        raise InputError(f"{place} must be {words[wanted]}, not {value!r}")


def _part(kind: type[_Part], key: str, values: Mapping[str, Any], where: str) -> _Part | None:
    given = values.get(key)
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: {key} must be a table")
    fields = kind.__dataclass_fields__
    plain = dict(given)
    for name, value in given.items():
        if name not in fields:
            raise _at(where, key, unknown_name("key", name, fields))
        if name != "inks":
            _check_type(str(fields[name].type), value, f"{where}: {key}.{name}")
        elif isinstance(value, list) and all(isinstance(ink, str) for ink in value):
            plain[name] = tuple(value)
        else:
            raise InputError(f"{where}: {key}.{name} must be a list of text")
    if kind is Finish and "kind" not in plain:
        raise InputError(f"{where}: {key}.kind is missing")
    return _checked(lambda chosen: kind(**chosen), plain, where, key)


_Made = TypeVar("_Made")


def _checked(
    make: Callable[[Mapping[str, Any]], _Made], values: Mapping[str, Any], where: str, place: str
) -> _Made:
    try:
        return make(values)
    except InputError as error:
        raise _at(where, place, error) from error


def _at(where: str, place: str | None, error: InputError) -> InputError:
    return InputError(f"{where}: {error}" if place is None else f"{where}: {place}: {error}")
