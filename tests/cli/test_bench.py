"""`bitbrush bench`: what is measured is ready before."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from bitbrush.bench import painting
from bitbrush.cli import bench
from bitbrush.cli.main import app


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been done, in place of doing it."""
    done: list[str] = []

    def run_worker(module: str, request: dict[str, Any], advance: Any) -> dict[str, Any]:
        done.append(request["settings"]["engine"])
        return {
            "engine": f"quickbrush {done[-1]}",
            "seconds": 1.0,
            "peak": 1,
            "steps": 2,
            "width": 64,
            "height": 48,
            "weights": "none",
        }

    monkeypatch.setattr(bench, "compile_kernels", lambda: done.append("compiled"))
    monkeypatch.setattr(painting, "run_worker", run_worker)
    return done


def test_a_painting_is_timed_with_compiled_kernels(order: list[str]) -> None:
    result = CliRunner().invoke(app, ["bench", "paint", "--weights", "none", "--json"])
    assert result.exit_code == 0, result.output
    assert order == ["compiled", "packed", "float"]


def test_nothing_is_compiled_for_an_unknown_rival(order: list[str]) -> None:
    result = CliRunner().invoke(app, ["bench", "paint", "--against", "vgg16"])
    assert result.exit_code != 0 and not order
