"""Adam gives torch's numbers, and does without torch's compiler."""

from __future__ import annotations

import copy
import subprocess
import sys
from functools import partial
from typing import Any

import torch

from bitbrush.style.adam import Adam
from bitbrush.style.views import blurred


def walked(kind: type, steps: int) -> torch.Tensor:
    torch.manual_seed(3)
    parameter = torch.randn(3, 5).requires_grad_(True)
    target = torch.randn(3, 5)
    optimizer = kind([parameter], lr=0.03, betas=(0.9, 0.99))

    def closure() -> float:
        parameter.grad = None
        loss = (parameter - target).pow(4).sum()
        loss.backward()
        return loss.item()

    for _ in range(steps):
        optimizer.step(closure)
    return parameter.detach()


def test_it_steps_as_torch_s_does() -> None:
    for steps in (1, 2, 40):
        torch.testing.assert_close(walked(Adam, steps), walked(torch.optim.Adam, steps))


def stepped(optimizer: Any, parameter: torch.Tensor, gradient: float) -> None:
    def closure() -> float:
        parameter.grad = torch.tensor([gradient, -2.0])
        return 0.0

    optimizer.step(closure)


def test_it_continues_from_a_state_of_torch_s() -> None:
    one = torch.ones(2).requires_grad_(True)
    theirs = torch.optim.Adam([one], lr=0.1, betas=(0.9, 0.99))
    stepped(theirs, one, 1.0)
    other = one.detach().clone().requires_grad_(True)
    ours = Adam([other], lr=0.1)
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    assert ours.state_dict()["state"][0]["step"] == 1
    stepped(theirs, one, 0.5)
    stepped(ours, other, 0.5)
    torch.testing.assert_close(other, one)


def test_a_gradient_without_a_lattice_leaves_none_where_steps_are_shared() -> None:
    torch.manual_seed(4)
    gradients = [blurred(blurred(torch.randn(1, 3, 64, 64))) for _ in range(12)]

    def lattice(shared: Any) -> float:
        canvas = torch.full((1, 3, 64, 64), 0.5).requires_grad_(True)
        optimizer = Adam([canvas], lr=0.03, shared=shared)
        for gradient in gradients:

            def closure(gradient: torch.Tensor = gradient) -> float:
                canvas.grad = gradient.clone()
                return 0.0

            optimizer.step(closure)
        power = torch.fft.fft2(canvas.detach()[0]).abs().square().mean(0)
        fine = power[28:37, 28:37].mean()
        return float(fine / power.mean())

    assert lattice(blurred) < 0.2 * lattice(None)
    assert lattice(partial(blurred, times=2)) < 0.1 * lattice(None)


def test_painting_brings_in_no_compiler() -> None:
    words = (
        "import sys, torch, bitbrush; "
        "bitbrush.paint(torch.rand(3, 32, 32), torch.rand(3, 32, 32), size=32, steps=2); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", words], check=True)


def test_a_state_from_another_device_comes_over() -> None:
    here = Adam([torch.zeros(3)], lr=0.1)
    there = Adam([torch.zeros(3, device="meta")], lr=0.1)
    there.load_state_dict(here.state_dict())
    found = [each for each in there.state[0].values() if isinstance(each, torch.Tensor)]
    assert [each.device.type for each in found] == ["meta", "meta"]
