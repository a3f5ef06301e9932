"""`bitbrush summary --engine`: how each layer runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from bitbrush.cli import networks  # noqa: F401 - joins the application
from bitbrush.cli.app import app


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["summary", *arguments])
    assert result.exit_code == code, result.output
    return result


def how(*arguments: str) -> dict[str, str | None]:
    layers = json.loads(run(*arguments, "--json").stdout)["layers"]
    return {layer["name"]: layer.get("how") for layer in layers}


def test_packed() -> None:
    found = how("quickbrush", "--engine", "packed")
    assert str(found["stages.0.0.conv"]).startswith("packed: ")
    assert found["stages.0.0.norm"] == "part of stages.0.0.conv"
    text = run("quickbrush", "--engine", "packed").stdout
    assert "how it runs" in text and "part of stages.0.0.conv" in text


def test_float() -> None:
    assert set(how("quickbrush", "--engine", "float").values()) == {"float32"}
    assert set(how("vgg19", "--engine", "auto").values()) == {"float32"}


def test_auto_is_what_the_network_gets() -> None:
    assert how("quicknet", "--engine", "auto") == how("quicknet", "--engine", "packed")


def test_it_is_only_told_when_asked() -> None:
    assert set(how("quickbrush").values()) == {None}
    assert "how it runs" not in run("quickbrush").stdout


@pytest.mark.parametrize(
    "network,engine,text",
    [
        ("quickbrush", "pakced", "did you mean 'packed'"),
        ("vgg19", "packed", "has no one-bit layers"),
    ],
)
def test_an_engine_that_cannot_be_had(network: str, engine: str, text: str) -> None:
    assert text in run(network, "--engine", engine, code=2).stderr
