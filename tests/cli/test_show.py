"""The command that `show` prints, and that it is complete and fit for a shell."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from bitbrush.cli import show  # noqa: F401 - joins the application
from bitbrush.cli.app import app
from bitbrush.images import write_image

METADATA: dict[str, Any] = {
    "bitbrush": "0.1.0",
    "command": "paint",
    "content": {"name": "my cat's.jpg", "sha256": "c" * 64},
    "styles": [{"name": "brushstrokes", "sha256": None}, {"name": "b.png", "sha256": "b" * 64}],
    "torch": "2.13.0",
    "threads": 2,
    "settings": {
        "network": "vgg19",
        "weights": "default",
        "size": 256,
        "steps": 250,
        "style_weights": [0.7, 0.3],
        "blur_gradient": False,
        "style_size": None,
        "content_weight": 1e-05,
    },
}


def painted(folder: Path, metadata: dict[str, Any]) -> str:
    path = folder / "-out.png"
    write_image(torch.zeros(1, 3, 2, 2), path, metadata)
    return str(path)


def test_the_command_repeats_the_painting(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["show", painted(tmp_path, METADATA)])
    assert result.exit_code == 0, result.stderr
    command, *comments = result.stdout.splitlines()
    assert shlex.split(command) == [
        *("bitbrush", "paint", "my cat's.jpg", "brushstrokes", "b.png", "-o", "./-out.png"),
        *("--network", "vgg19", "--size", "256", "--style-weights", "0.7,0.3"),
        *("--no-blur-gradient", "--content-weight", "1e-05"),
    ]
    assert comments[0] == "# made with bitbrush 0.1.0, torch 2.13.0, 2 threads"
    assert f"# {'b' * 64}  b.png" in comments and str(tmp_path) not in result.stdout
    assert shlex.split("\n".join(comments), comments=True) == []


def test_json_is_all_of_it(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["show", painted(tmp_path, METADATA), "--json"])
    assert json.loads(result.stdout) == METADATA


@pytest.mark.parametrize("command", ["attack", "presets"])
def test_pictures_of_other_commands_are_told_apart(tmp_path: Path, command: str) -> None:
    metadata = {"bitbrush": "0.1.0", "command": command}
    result = CliRunner().invoke(app, ["show", painted(tmp_path, metadata)])
    assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1
    assert f"was made by bitbrush {command}" in result.stderr and "--json" in result.stderr


@pytest.mark.parametrize("metadata", [{}, {"bitbrush": "0.1.0"}, {**METADATA, "content": 1}])
def test_what_holds_no_painting_is_one_line(tmp_path: Path, metadata: dict[str, Any]) -> None:
    result = CliRunner().invoke(app, ["show", painted(tmp_path, metadata)])
    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr.count("\n") == 1


def test_files_of_settings_have_their_hashes(tmp_path: Path) -> None:
    more = {"init": {"name": "sketch.png", "sha256": "d" * 64}, "weights_sha256": "e" * 64}
    settings = {**METADATA["settings"], "weights": "own.safetensors", "init": "sketch.png"}
    path = painted(tmp_path, {**METADATA, **more, "settings": settings})
    lines = CliRunner().invoke(app, ["show", path]).stdout.splitlines()
    assert f"# {'d' * 64}  sketch.png" in lines and f"# {'e' * 64}  own.safetensors" in lines


def test_no_command_repeats_what_a_program_s_network_painted(tmp_path: Path) -> None:
    path = painted(tmp_path, {**METADATA, "weights_origin": "given"})
    result = CliRunner().invoke(app, ["show", path])
    assert result.exit_code == 2 and "a network that a program made" in result.stderr
