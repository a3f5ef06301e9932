"""The commands networks, summary and weights, run in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import bitbrush.cli.main  # noqa: F401 - gathers the commands
from bitbrush.cli.app import app
from bitbrush.weights import loading
from bitbrush.weights.bits import save_network
from bitbrush.weights.cache import cached_file
from bitbrush.weights.importing import build


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BITBRUSH_WEIGHTS", raising=False)
    monkeypatch.setattr(loading, "SHIPPED", tmp_path / "shipped")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.stderr if code else result.stdout


def run_json(*arguments: str) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return held


def test_networks_lists_every_one() -> None:
    rows = {row["name"]: row for row in run_json("networks")["networks"]}
    assert rows["quicknet"]["parameters"] == 10_511_232
    assert (rows["quicknet"]["top1"], rows["quicknet"]["kind"]) == (58.6, "one-bit")
    assert rows["quicknet"]["origin"] is None
    assert rows["quicknet"]["weights"] == "not here: 'bitbrush weights pull quicknet'"
    assert rows["vgg19"]["one_bit_share"] == 0
    text = run("networks")
    assert all(name in text for name in rows) and "10,511,232" in text


def test_summary_gives_larqs_footer() -> None:
    made = run_json("summary", "quicknet")
    assert made["weights"]["1"] == 9_990_144 and round(made["mib"], 2) == 3.18
    text = run("summary", "quicknet")
    assert "10,511,232" in text and "0.9960" in text and "3.18 MiB" in text
    smaller = run_json("summary", "quicknet", "--size", "64")
    assert smaller["total_macs"] < made["total_macs"] / 10
    assert "did you mean 'quicknet'" in run("summary", "quicknett", code=2)


def test_import_where_verify(tmp_path: Path) -> None:
    name = "vgg19-normalised"
    file = tmp_path / "file.safetensors"
    save_network(build(name), file, {"source": "a test"})
    out = tmp_path / "out.safetensors"
    assert run("weights", "import", str(file), "--network", name, "-o", str(out)) == f"{out}\n"
    assert out.is_file() and not cached_file(name).exists()
    assert run("weights", "where", name).startswith("not here")
    run("weights", "import", str(file), "--network", name)
    assert run("weights", "where", name) == f"cache: {cached_file(name)}\n"
    checked = run_json("weights", "verify")["weights"]
    assert [(row["network"], row["ok"]) for row in checked] == [(name, True)]
    data = bytearray(cached_file(name).read_bytes())
    data[-1] ^= 1
    cached_file(name).write_bytes(data)
    assert f"{name} (pull or import it again)" in run("weights", "verify", name, code=2)
    assert "pull quicknet" in run("weights", "verify", "quicknet", code=2)
    origins = {row["network"]: row["origin"] for row in run_json("weights", "where")["weights"]}
    assert origins[name] == "cache" and origins["quicknet"] is None


def test_list_and_pull_of_nothing() -> None:
    rows = {row["network"]: row for row in run_json("weights", "list")["weights"]}
    assert len(rows["quicknet"]["sha256"]) == 64 and not rows["vgg19"]["sha256_whole"]
    assert "quicknet_weights.h5" in run("weights", "list")
    assert "no public download" in run("weights", "pull", "quickbrush", code=2)


def test_what_is_shipped_need_not_be_pulled(tmp_path: Path) -> None:
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "quickbrush.safetensors").touch()
    assert "come with bitbrush" in run("weights", "pull", "quickbrush", code=2)
    assert "quickbrush (reinstall bitbrush)" in run("weights", "verify", "quickbrush", code=2)


def test_the_group_is_in_the_program() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {"networks", "summary", "weights"} <= commands.keys()
    assert commands["weights"].commands.keys() == {"list", "pull", "import", "verify", "where"}
