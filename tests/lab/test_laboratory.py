"""A folder belongs to one plan, and to as many threads as it was begun with."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bitbrush.cli.lab
from bitbrush.cli.app import app
from bitbrush.errors import InputError
from bitbrush.lab import laboratory
from bitbrush.lab.laboratory import (
    check_folder,
    claim,
    finish,
    networks_for,
    plan_of,
    threads_in,
)
from bitbrush.lab.lessons import Request
from bitbrush.lab.lessons.every import LESSONS
from bitbrush.lab.plan import Sources
from bitbrush.lab.runner import Laboratory

Make = Callable[..., Request]


def test_a_folder_belongs_to_one_lesson(make_request: Make, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tv"
    check_folder(folder, "tv")
    claim(folder, "tv", plan_of(make_request("quickbrush")))
    check_folder(folder, "tv")
    with pytest.raises(InputError, match="holds the laboratory 'tv'; name another -o"):
        claim(folder, "pooling", {})
    with pytest.raises(InputError, match=r"plan\.json is a file"):
        check_folder(folder / "plan.json", "tv")


def test_threads_stay_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laboratory, "usable_cores", lambda: 8)
    claim(tmp_path / "begun", "tv", {"threads": 4})
    assert threads_in(tmp_path / "begun", None, 1) == 4
    assert threads_in(tmp_path / "begun", None, 2) == 4
    with pytest.raises(
        InputError, match=r"--workers 4 with 4 threads .* use --workers 2, or anoth"
    ):
        threads_in(tmp_path / "begun", None, 4)
    assert threads_in(tmp_path / "begun", 2, 4) == 2
    # Of other machines nobody knows the cores.
    assert threads_in(tmp_path / "new", None, 1, elsewhere=True) == 1
    assert threads_in(tmp_path / "new", 99, 1, elsewhere=True) == 99


def test_what_is_refused_leaves_no_folder(pictures: Path, tmp_path: Path) -> None:
    assert bitbrush.cli.lab
    common = ["--content", str(pictures / "content"), "--style", str(pictures / "style")]
    for words, said in (
        (["tv", "--threads", "2000"], "--threads must be between"),
        (["groove", "--judge", "none"], "a search needs a judge"),
        (["groove", "--judge", "quickbrush"], "give folders with more pictures"),
        (["gallery", "--size", "20"], "too small"),
        (["gallery", "--workers", "500"], "this machine has"),
        (["gallery", "--style", "wave"], "did you mean 'waves'?"),
        (["gallery", "--workers", "2", "--ray", "127.0.0.1:1"], "leave --workers out"),
        (["gallery", "--ray", "somewhere"], "HOST:PORT"),
    ):
        rest = ["--network", "quickbrush", "-o", str(tmp_path / "lab")]
        judge = [] if "--judge" in words else ["--judge", "none"]
        result = CliRunner().invoke(app, ["lab", words[0], *common, *words[1:], *judge, *rest])
        assert result.exit_code == 2 and said in result.output, result.output
        assert not (tmp_path / "lab").exists(), words


def test_the_judge_is_not_among_all_and_is_named_if_it_painted(
    make_request: Make, tmp_path: Path
) -> None:
    lesson = LESSONS["networks"]
    judge = "quickbrush"
    assert judge in networks_for(lesson, []) and judge not in networks_for(lesson, [], judge)
    assert list(networks_for(lesson, [judge], judge)) == [judge]
    for network, count in ((judge, 1), ("quickbrush-small", 0)):
        request = make_request(network)
        claim(tmp_path / network, lesson.name, plan_of(request))
        rows = finish(lesson, request, Laboratory(tmp_path / network, judge), "", [], 0).remarks
        assert len([line for line in rows if "prove little" in line]) == count
    text = (tmp_path / judge / "report.html").read_text(encoding="utf-8")
    assert "prove little" in text


def test_a_part_of_a_plan_is_called_a_part(make_request: Make, tmp_path: Path) -> None:
    request = make_request("quickbrush-small")
    outcome = finish(LESSONS["tv"], request, Laboratory(tmp_path, None), "", [], 12)
    assert outcome.remarks == ["0 of 12 paintings are there, so all figures are of a part."]
    assert outcome.remarks[0] in outcome.report.read_text(encoding="utf-8")


def test_a_report_says_where_its_commands_were_run(
    make_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request("quickbrush-small")
    (pair,) = request.sources
    (tmp_path / "lab").mkdir()

    def told(sources: Sources, folder: Path) -> bool:
        run = Laboratory(folder, None), "", [], 0
        report = finish(LESSONS["tv"], dataclasses.replace(request, sources=[sources]), *run).report
        return f"<dt>working folder</dt><dd>{Path.cwd()}</dd>" in report.read_text(encoding="utf-8")

    assert not told(pair, tmp_path / "lab")
    assert not told(Sources(pair.content, "waves"), tmp_path / "lab")
    monkeypatch.chdir(pair.content.parent)
    assert told(Sources(Path(pair.content.name), pair.style), tmp_path / "lab")
    monkeypatch.chdir(tmp_path)
    assert told(pair, Path("lab"))


def test_networks_are_measured_once(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    words = ["lab", "compress", "--network", "quickbrush-small", "-o", str(tmp_path), "--json"]
    first, again = (CliRunner().invoke(app, words) for _ in range(2))
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert json.loads(again.stdout) == told  # latencies too
    (row,) = parquet.read_table(told["table"]).to_pylist()
    (network,) = told["networks"]
    assert row["latency_packed"] == network["latency"]["packed"] and row["seen"] is None
    (kept,) = (tmp_path / "measured").iterdir()
    kept.write_text("{")
    assert json.loads(CliRunner().invoke(app, words).stdout)["networks"] != told["networks"]
    with pytest.raises(InputError, match="holds the laboratory 'compress'"):
        check_folder(tmp_path, "tv")


@pytest.mark.slow
def test_workers_end_with_a_command_that_is_killed(pictures: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bitbrush", "lab", "gallery", "--judge", "none", "--size", "256"]
    words += ["--content", str(pictures / "content"), "--style", str(pictures / "style")]
    words += ["--workers", "2", "--threads", "1", "--steps", "4000", "-o", str(tmp_path / "lab")]
    command = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    if not children.exists():
        command.kill()
        pytest.skip("the system does not list a process's children")

    def painters() -> list[int]:
        own = [int(each) for each in children.read_text().split()]
        return [each for each in own if b"spawn_main" in _words(each)]

    found: list[int] = []
    for _ in range(1200):
        found = painters()
        if len(found) == 2 and (tmp_path / "lab" / "paintings").exists():
            break
        time.sleep(0.1)
    time.sleep(2)
    command.send_signal(signal.SIGKILL)
    command.wait()
    assert len(found) == 2
    for _ in range(100):
        if not any(_words(each) for each in found):
            break
        time.sleep(0.1)
    left = [each for each in found if _words(each)]
    for each in left:
        os.kill(each, signal.SIGKILL)
    assert not left


def _words(process: int) -> bytes:
    """Its command line; empty if there is no such process any more."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_help_names_the_networks_that_paint() -> None:
    for name, lesson in LESSONS.items():
        result = CliRunner().invoke(app, ["lab", name, "--help"])
        by = " and ".join(lesson.networks) or "all networks whose weights are here"
        text = " ".join(result.output.split())
        assert f"Without --network it paints with {by}" in text, name
