"""`bitbrush show`: how a painting was made."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from ..style.settings import PaintSettings, option_name
from .app import app


@app.command()
def show(
    painting: Annotated[Path, typer.Argument(help="A picture that bitbrush wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Print the command that repeats a painting, and what it was made from.

    Settings that are at their default are left out. File names are without their folders; the
    comment lines below the command hold the SHA-256 of each file, to find the right one by.
    """
    from ..images import read_metadata

    metadata = read_metadata(painting)
    if as_json:
        print(json.dumps(metadata, indent=2, ensure_ascii=False))
        return
    made_by = metadata.get("command", "paint")
    if made_by != "paint":
        raise InputError(
            f"{painting} was made by bitbrush {made_by}, and only paintings have a command that "
            "repeats them; see how it was made with --json"
        )
    if metadata.get("weights_origin") == "given":
        raise InputError(
            f"{painting} was painted by a network that a program made, which no command repeats; "
            "see how it was made with --json"
        )
    try:
        command, files = paint_command(metadata, painting.name), _files(metadata)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"the settings in {painting} are incomplete; see them with --json"
        ) from error
    print(shlex.join(command))
    made_with = [f"bitbrush {metadata['bitbrush']}"]
    made_with += [f"torch {metadata['torch']}"] if "torch" in metadata else []
    made_with += [f"{metadata['threads']} threads"] if "threads" in metadata else []
    print(f"# made with {', '.join(made_with)}")
    for file in [*files, *_more_files(metadata)]:
        if file.get("sha256"):
            print(f"# {file['sha256']}  {shlex.quote(file['name'])}")


def paint_command(metadata: Mapping[str, Any], output: str) -> list[str]:
    """The words of the command that repeats a painting.

    Args:
        metadata: as `images.read_metadata` gives it.
        output: the name of the file to write.
    Raises:
        KeyError, TypeError, AttributeError: it is no metadata of a painting.
    """
    words = ["bitbrush", str(metadata["command"])]
    words += [_operand(file["name"]) for file in _files(metadata)]
    words += ["-o", _operand(output)]
    preset = metadata.get("preset") or {}
    if preset:
        words += ["--preset", _operand(preset["name"])]
    settings = metadata["settings"]
    # A setting from another release, which this one does not know, has no default to equal.
    defaults = {field.name: field.default for field in dataclasses.fields(PaintSettings)}
    defaults |= preset.get("settings", {})
    if preset.get("print") and preset["print"]["pixels"] is None:
        del defaults["size"]  # given, it says that the picture is not enlarged for print
    for name, value in settings.items():
        field = name.removeprefix("--").replace("-", "_")
        if field not in defaults or not _equal(value, defaults[field]):
            words += _option(field, value)
    return words


def _files(metadata: Mapping[str, Any]) -> list[dict[str, str]]:
    return [metadata["content"], *metadata["styles"]]


def _more_files(metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The preset's file, where it did not come with bitbrush; those of --init and --weights."""
    preset = metadata.get("preset") or {}
    files = [preset] if str(preset.get("name")).endswith(".toml") else []
    files += [metadata["init"]] if metadata.get("init") else []
    weights = metadata["settings"].get("weights", "default")
    if weights not in ("default", "none"):
        files.append({"name": weights, "sha256": metadata.get("weights_sha256")})
    return files


def _operand(name: str) -> str:
    # A file whose name begins like an option.
    return f"./{name}" if name.startswith("-") else name


def _equal(value: Any, default: Any) -> bool:
    # JSON has no tuples.
    return bool((tuple(value) if isinstance(value, list) else value) == default)


def _option(field: str, value: Any) -> list[str]:
    option = option_name(field)
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    if isinstance(value, list):
        value = ",".join(_text(part) for part in value)
    # With "=", so that a negative number is not taken for an option.
    return [f"{option}={value}"] if str(value).startswith("-") else [option, _text(value)]


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
