"""The estimate of memory: near the truth, and a refusal that names a size that is accepted."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bitbrush.errors import InputError
from bitbrush.style import footprint, memory
from bitbrush.style.defaults import resolved
from bitbrush.style.job import Job
from bitbrush.style.settings import make_settings
from bitbrush.weights.loading import load_network

ROOT = Path(__file__).parents[2]
MakeJob = Callable[..., Job]


def test_refusal_names_the_largest_size_that_fits(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 800e6)
    memory.check_memory(make_job(size=400))
    with pytest.raises(
        InputError, match="3000 px would take about .* and 0.8 GB are free"
    ) as caught:
        memory.check_memory(make_job(size=3000))
    named = re.search(r"--size (\d+) would fit", str(caught.value))
    assert named is not None
    fitting = int(named[1])
    assert fitting > 400
    memory.check_memory(make_job(size=fitting))
    with pytest.raises(InputError):
        memory.check_memory(make_job(size=fitting + 2))


def test_what_one_kind_of_painting_takes_is_measured_once(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    real = footprint._trial

    def trial(job: Job, side: int) -> footprint.Footprint:
        measured.append(side)
        return real(job, side)

    monkeypatch.setattr(footprint, "_known", {})
    monkeypatch.setattr(footprint, "_trial", trial)
    first = make_job(size=64).footprint
    assert make_job(size=128, steps=3, content_weight=2.0).footprint is first
    assert len(measured) == 3
    for more in (
        {"statistic": "gram"},
        {"content_taps": "stage1.block1"},
        {"style_taps": "stem"},
        {"estimator": "identity"},
    ):
        make_job(size=64, **more).footprint  # noqa: B018  (is measured when it is asked for)
    assert len(measured) == 15


@pytest.mark.parametrize("estimator", ["ste", "approx"])
def test_what_is_made_once_does_not_change_what_a_pixel_takes(
    estimator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "_known", {})
    settings = resolved(make_settings({"network": "quicknet-v1", "estimator": estimator}))
    network = load_network("quicknet-v1", "none", engine="packed")
    picture = torch.zeros(1, 3, 40, 40)
    job = Job(picture, [picture], network, settings)
    first, again = footprint._measured(job), footprint._measured(job)
    assert first == again
    assert first.step > first.look > 0


def test_whole_distributions_of_every_style_stay(make_job: MakeJob) -> None:
    style = torch.rand(1, 3, 40, 44)

    def kept(styles: int, **more: object) -> float:
        job = make_job(styles=[style] * styles, statistic="sliced-wasserstein", **more)
        return memory._styles(job, job.footprint, 1024, 1024)[1]

    assert kept(1) > 0
    assert kept(3, orientations=4) == pytest.approx(12 * kept(1), rel=0.01)


def test_where_nothing_fits_no_size_is_named(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 100e6)
    with pytest.raises(InputError, match="no size would fit"):
        memory.check_memory(make_job())


def test_estimate_counts_what_takes_memory(make_job: MakeJob) -> None:
    usual = memory.estimated_peak(make_job(size=1024))
    assert memory.estimated_peak(make_job(size=256)) < usual
    assert memory.estimated_peak(make_job(size=256), 1024) == pytest.approx(usual, rel=0.01)
    for more in (
        {"optimizer": "lbfgs"},
        {"encode_scale": 2},
        {"statistic": "sliced-wasserstein"},
        {"style_size": 8192},
    ):
        assert memory.estimated_peak(make_job(size=1024, **more)) > 1.05 * usual, more


def test_estimate_counts_the_picture_to_begin_with(make_job: MakeJob) -> None:
    plain = make_job(size=64)
    begun = dataclasses.replace(plain, init=torch.zeros(1, 3, 2000, 3000))
    more = memory.estimated_peak(begun) - memory.estimated_peak(plain)
    assert more == pytest.approx(3 * 2000 * 3000 * 4)


def test_a_print_that_does_not_fit_is_refused_with_one_that_would(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    monkeypatch.setattr(memory, "available_memory", lambda: 2e9)
    memory.check_print(job, 3600, 3600)
    with pytest.raises(InputError, match="16384x12000 px would take about 10.2 GB") as caught:
        memory.check_print(job, 12000, 16384)
    named = re.search(r"; (\d+) pixels", str(caught.value))
    assert named is not None
    edge = int(named[1])
    memory.check_print(job, edge * 12000 // 16384, edge)
    with pytest.raises(InputError):
        memory.check_print(job, edge * 12000 // 16384 + 2, edge + 2)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("size", [256, 512])
def test_estimate_is_near_what_is_measured(size: int) -> None:
    program = str(ROOT / "benchmarks" / "memory.py")
    settings = json.dumps({"network": "quickbrush", "size": size})
    done = subprocess.run(
        [sys.executable, program, "--threads", "1", "--one", settings],
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert 0.7 < result["estimate"] / result["peak"] < 1.3
