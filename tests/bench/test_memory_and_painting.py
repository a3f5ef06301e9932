"""What runs in processes of its own, run in this one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bitbrush.bench import memory, painting
from bitbrush.bench.tables import paint_tables
from bitbrush.errors import InputError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux only")


def test_steps_grow_with_the_picture() -> None:
    found = []
    for side in (64, 512):
        request: dict[str, Any] = {"height": side, "width": side, "threads": 1}
        request["engine"] = {"network": "quicknet-v1-small", "engine": "float"}
        found.append(memory.measure(request, lambda share, note: None))
    assert found[1]["growth"] > found[0]["growth"] + 5e7
    assert found[1]["peak"] > found[1]["growth"] and found[1]["seconds"] > 0


def test_paintings_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "content.png"
    Image.fromarray(np.full((48, 64, 3), 99, np.uint8)).save(path)
    requests = []

    def run_worker(module: str, request: dict[str, Any], advance: Any) -> dict[str, Any]:
        requests.append(request)
        return painting.measure(request, advance)

    monkeypatch.setattr(painting, "run_worker", run_worker)
    settings = {"network": "quickbrush", "weights": "none", "size": 64, "steps": 2}
    told: list[float] = []
    result = painting.bench_paint(
        path, "mosaic", settings, ["float"], lambda share, note: told.append(share)
    )
    first, second = result["cases"]
    assert "packed" in first["engine"] and second["engine"] == "quickbrush float engine"
    assert (first["width"], first["height"], first["steps"]) == (64, 48, 2)
    assert [r["settings"]["engine"] for r in requests] == ["packed", "float"]
    assert {ratio["quantity"] for ratio in result["ratios"]} == {"time", "memory"}
    assert result["ratios"][0]["value"] == second["seconds"] / first["seconds"]
    assert told[-1] == 1.0 and str(tmp_path) not in str(result)
    assert "64×48" in paint_tables(result)[0].markdown()


def test_vgg_can_be_asked_for() -> None:
    assert painting._settings_of("vgg19")["network"] == "vgg19"


def test_without_scikit_image_a_content_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(InputError, match="name a CONTENT"):
        painting.demo_photograph()
