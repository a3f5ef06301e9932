"""Bop and the flip ratio against larq's numbers, and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bitbrush.errors import InputError
from bitbrush.train.bop import Bop
from bitbrush.train.flip_ratio import FlipRatio

GOLDEN = Path(__file__).parents[1] / "golden" / "training.npz"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("default", {}),
        ("slow", {"threshold": 1e-3, "gamma": 1e-2}),
        ("never", {"threshold": 10.0, "gamma": 0.5}),
    ],
)
def test_bop_and_flip_ratio_equal_larqs(name: str, options: dict[str, float]) -> None:
    with np.load(GOLDEN) as file:
        golden = {key: torch.from_numpy(file[key]) for key in file.files}
    weight = torch.nn.Parameter(golden["start"].clone())
    bop = Bop([weight], **options)
    ratio = FlipRatio()
    ratio.update(weight)
    for step, gradient in enumerate(golden["gradients"]):
        weight.grad = gradient
        bop.step()
        ratio.update(weight)
        assert torch.equal(weight, golden[f"{name}/weights"][step])
        assert ratio.value == pytest.approx(float(golden[f"{name}/flip_ratio"][step]), abs=1e-6)
    if name == "never":
        assert torch.equal(weight, golden["start"])
    else:
        assert not torch.equal(weight, golden["start"])


def test_bop_flips_only_against_the_gradient() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 1.0, -1.0, -1.0, 1.0]))
    weight.grad = torch.tensor([1.0, -1.0, 1.0, -1.0, 0.0])
    Bop([weight], threshold=0.0, gamma=1.0).step()
    assert weight.tolist() == [-1, 1, -1, 1, 1]


def test_bop_state_survives_saving() -> None:
    gradient = torch.tensor([1.0, 1.0])
    weights = [torch.nn.Parameter(torch.tensor([-1.0, 1.0])) for _ in range(2)]
    first, second = (Bop([weight], threshold=0.15, gamma=0.1) for weight in weights)
    weights[0].grad = weights[1].grad = gradient
    first.step()
    assert weights[0].tolist() == [-1, 1]
    second.load_state_dict(first.state_dict())
    second.step()
    # 0.1 after one step, 0.19 after two: only the saved average lets the second reach it.
    assert weights[1].tolist() == [-1, -1]


@pytest.mark.parametrize(
    "options", [{"gamma": 0.0}, {"gamma": 1.5}, {"threshold": -1.0}, {"threshold": float("nan")}]
)
def test_bop_rejects_settings_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Bop([torch.nn.Parameter(torch.ones(1))], **options)


def test_flip_ratio_is_a_mean_over_steps() -> None:
    ratio = FlipRatio()
    ratio.update(torch.tensor([1, 1]))
    assert ratio.value == 0
    ratio.update(torch.tensor([2, 2]))
    assert ratio.value == 1
    ratio.update(torch.tensor([1, 2]))
    assert ratio.value == 0.75
