"""Programs beside the package still find what they use of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LOADING = """
import pathlib, runpy, sys
ours = {"bitbrush", *(pathlib.Path(path).stem for path in sys.argv[1:])}
for path in sys.argv[1:]:
    try:
        runpy.run_path(path, run_name="loaded")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ours:
            raise
"""
"""Loads programs without running them. What an extra would bring may be missing."""


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "tools", "train"])
def test_programs_can_be_loaded(folder: str) -> None:
    programs = sorted(str(path) for path in (ROOT / folder).glob("*.py"))
    assert programs
    found = os.pathsep.join([str(ROOT / "src"), str(ROOT / folder)])
    done = subprocess.run(
        [sys.executable, "-c", LOADING, *programs],
        env=os.environ | {"PYTHONPATH": found},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
