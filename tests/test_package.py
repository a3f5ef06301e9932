"""The wheel, installed into an empty environment without a network, paints."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]

NO_NETWORK = """
import socket

def refuse(*arguments, **settings):
    raise AssertionError("the network was used")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; its dependencies are borrowed from this one's folder."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # A path in a .pth file is searched last, and .pth files within it are not read, so that an
    # editable bitbrush beside the dependencies is out of reach.
    (packages / "borrowed.pth").write_text("\n".join(sorted(borrowed)))
    # Not sitecustomize, of which some systems' Python has one of its own.
    (packages / "no_network.py").write_text(NO_NETWORK)
    (packages / "no_network.pth").write_text("import no_network\n")
    return folder


def run(environment: Path, home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    return subprocess.run(
        [str(environment / "bin" / command[0]), *command[1:]],
        cwd=home,
        env={**kept, "HOME": str(home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def test_the_wheel_holds_all_data_and_nothing_else(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in (source / "bitbrush").rglob("*")
        if path.is_file() and path.suffix in (".py", ".typed", ".tsv", ".safetensors")
    }
    assert "bitbrush/py.typed" in wanted and any(name.endswith(".tsv") for name in wanted)
    assert wanted <= inside
    others = {name for name in inside - wanted if ".dist-info/" not in name}
    assert not {name for name in others if not name.startswith("bitbrush/")}


def test_the_installed_program_starts(environment: Path, tmp_path: Path) -> None:
    result = run(environment, tmp_path, "bitbrush", "--help")
    assert result.returncode == 0, result.stderr
    assert "\n  paint " in result.stdout and "\n  show " in result.stdout
    where = "import bitbrush; print(bitbrush.__file__)"
    found = run(environment, tmp_path, "python", "-c", where)
    assert Path(found.stdout.strip()).is_relative_to(environment)


def test_the_network_is_out_of_reach(environment: Path, tmp_path: Path) -> None:
    # Else the next test would prove nothing.
    code = "import httpx; httpx.get('http://127.0.0.1:9')"
    assert "the network was used" in run(environment, tmp_path, "python", "-c", code).stderr


def test_the_installed_program_paints_without_a_network(environment: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "content.png")
    command = ("bitbrush", "paint", "content.png", "brushstrokes", "-o", "out.png")
    result = run(environment, tmp_path, *command, "--size", "64", "--steps", "4")
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "out.png") as painting:
        assert painting.size == (64, 48)
    shown = run(environment, tmp_path, "bitbrush", "show", "out.png")
    assert shown.stdout.startswith("bitbrush paint content.png brushstrokes -o out.png")
    assert "--size 64" in shown.stdout and "--steps 4" in shown.stdout
