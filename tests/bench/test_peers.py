"""Peers are asked and answer, one line each; without TensorFlow, by a stand-in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bitbrush.bench import peers
from bitbrush.bench.peers import running_peer
from bitbrush.errors import InputError

STAND_IN = """
import json, sys
loads = []
for line in sys.stdin:
    request = json.loads(line)
    if request.get("size") == 13:
        print(json.dumps({"error": "ValueError: no size 13"}), flush=True)
    elif "load" in request:
        loads.append(request)
        print(json.dumps({"contestants": ["a", "b"], "versions": {"larq": "0.14.0"}}), flush=True)
    elif "grow" in request:
        print(json.dumps({"growth": 10 * loads[-1]["size"], "seconds": 0.5}), flush=True)
    else:
        print(json.dumps({"seconds": {"a": 1.5, "b": 2.5}[request["run"]]}), flush=True)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(peers, "SCRIPT", script)


def test_contestants_say_what_they_took(stand_in: None) -> None:
    with running_peer(sys.executable) as peer:
        works = peer.load("network", 2, size=64)
        assert {name: work() for name, work in works.items()} == {"a": 1.5, "b": 2.5}
        assert peer.versions == {"larq": "0.14.0"}
        memory = peer.step_memory(96, 2)
    assert (memory["growth"], memory["height"]) == (960, 96)


def test_a_peer_that_cannot_says_why(stand_in: None) -> None:
    with running_peer(sys.executable) as peer, pytest.raises(InputError, match="no size 13"):
        peer.load("network", 2, size=13)


def test_a_peer_that_ends_is_an_input_error(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "ends.py"
    script.write_text("")
    monkeypatch.setattr(peers, "SCRIPT", script)
    with running_peer(sys.executable) as peer, pytest.raises(InputError, match="cannot run"):
        peer.load("network", 2, size=64)


def test_a_python_without_the_libraries_is_an_input_error() -> None:
    with running_peer(sys.executable) as peer, pytest.raises(InputError, match="No module named"):
        peer.load("network", 2, size=64)


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(InputError, match="no program"), running_peer("/no/such/python"):
        pass
