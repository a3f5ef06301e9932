"""What the documents say about the command line is so: examples, options, the table of settings."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bitbrush.cli import main  # noqa: F401 - gathers the commands
from bitbrush.cli.app import app, options
from bitbrush.cli.settings_options import _settings
from bitbrush.style.settings import PaintSettings, option_name

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md")}
DOCUMENTS["README.md"] = README


def examples(text: str) -> list[str]:
    """The commands of bitbrush in the fenced bash blocks of a document."""
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("bitbrush ")]


def parse(line: str) -> None:
    """Parses a command as the program would, without running it.

    Raises:
        Exception: of the program's usage errors.
    """
    program, *words = shlex.split(line, comments=True)
    assert program == "bitbrush"
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"no command {name} in {line}"
        command = command.commands[name]
    try:
        context = command.make_context(name, words)
    finally:
        options.quiet = options.debug = False
    if shlex.split(line)[1] == "paint":
        fields = dataclasses.fields(PaintSettings)
        _settings({field.name: context.params[field.name] for field in fields})


def test_readme_has_examples() -> None:
    assert len([line for line in examples(README) if line.startswith("bitbrush paint ")]) >= 3


@pytest.mark.parametrize(
    "line", [line for text in DOCUMENTS.values() for line in examples(text)], ids=str
)
def test_every_example_can_be_run(line: str) -> None:
    parse(line)


@pytest.mark.parametrize(
    "line",
    [
        "bitbrush pain content.jpg style.jpg -o out.png",
        "bitbrush paint content.jpg style.jpg -o out.png --sise 3",
        "bitbrush paint content.jpg style.jpg",
        "bitbrush paint content.jpg style.jpg -o out.png --statistic grams",
    ],
)
def test_an_example_that_cannot_be_run_is_found(line: str) -> None:
    with pytest.raises(Exception):  # noqa: B017 - whatever the parser raises
        parse(line)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_and_options_in_running_text_exist(name: str) -> None:
    group: Any = typer.main.get_command(app)
    commands = [group, *group.commands.values()]
    commands += [
        below for command in commands[1:] for below in getattr(command, "commands", {}).values()
    ]
    known = {
        option
        for command in commands
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    text = re.sub(r"^```.*?^```", "", DOCUMENTS[name], flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`\n]+)`", text):
        words = code.split()
        if words[0] == "bitbrush" and len(words) > 1:
            assert words[1] in group.commands, code
        if words[0] == "bitbrush" or words[0].startswith("--"):
            mentioned = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert mentioned <= known | {"--help"}, code


def test_the_table_of_settings_is_the_programs() -> None:
    spec = importlib.util.spec_from_file_location("table", ROOT / "tools" / "settings_table.py")
    assert spec is not None and spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    assert table.renewed(README) == README, "run: python tools/settings_table.py README.md"
    for field in dataclasses.fields(PaintSettings):
        assert README.count(f"\n| `{option_name(field.name)}`") == 1
