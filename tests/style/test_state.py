"""State: trees to tensors and back, the corrected average, and checkpoints on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bitbrush.errors import InputError
from bitbrush.style.checkpoint import (
    Checkpoint,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from bitbrush.style.state import Average, State, flatten, unflatten


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.LBFGS])
def test_optimizer_state_survives_json(optimizer: Any) -> None:
    parameter = torch.randn(5, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    optimiser = optimizer([parameter], lr=0.1)

    def closure() -> Any:
        optimiser.zero_grad()
        loss = (parameter.square() * torch.arange(1.0, 6)).sum()
        loss.backward()
        return loss.detach()

    for _ in range(3):
        optimiser.step(closure)
    state = optimiser.state_dict()["state"]
    tensors: dict[str, torch.Tensor] = {}
    plain = json.loads(json.dumps(flatten(state, "optimizer", tensors)))
    assert tensors and equal(unflatten(plain, tensors), state)
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    optimiser.step(closure)
    assert equal(tensors, kept), "what was taken apart is a copy"


def test_average_is_that_of_the_definition() -> None:
    pictures = [torch.full((1, 3, 2, 2), value) for value in (0.2, 0.8, 0.5)]
    average = Average(0.9)
    for picture in pictures:
        average.update(picture)
    weights = torch.tensor([0.81, 0.9, 1.0])
    expected = float((weights * torch.tensor([0.2, 0.8, 0.5])).sum() / weights.sum())
    torch.testing.assert_close(average.value(), torch.full((1, 3, 2, 2), expected))
    often, once = Average(0.9), Average(0.9)
    for _ in range(4):
        often.update(pictures[0])
    often.update(pictures[1])
    once.update(pictures[0], times=4)
    once.update(pictures[1])
    torch.testing.assert_close(once.value(), often.value())
    last = Average(0.0)
    for picture in pictures:
        last.update(picture)
    assert torch.equal(last.value(), pictures[-1])


def test_checkpoint_comes_back_and_replaces_the_older(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path / "out.png")
    assert path.name == "out.png.checkpoint" and load_checkpoint(path) is None
    for total in (1, 7):
        tensors = {"average": torch.rand(2, 3), "random": torch.Generator().get_state()}
        state = State(1, 3, total, (0.1, 1 / 3), {"view": [1, 2.5]}, tensors)
        save_checkpoint(Checkpoint({"seed": 4}, state), path)
    loaded = load_checkpoint(path)
    assert loaded is not None and loaded.run == {"seed": 4}
    assert equal(vars(loaded.state), vars(state))
    assert [file.name for file in tmp_path.iterdir()] == [path.name], "nothing else is left"


@pytest.mark.parametrize("damage", ["cut", "byte", "empty", "other"])
def test_damaged_checkpoint_is_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "out.png.checkpoint"
    save_checkpoint(Checkpoint({}, State(0, 1, 1, tensors={"a": torch.rand(50)})), path)
    data = bytearray(path.read_bytes())
    if damage == "byte":
        data[-3] ^= 1
    path.write_bytes({"cut": data[:-9], "empty": b"", "other": b"hello"}.get(damage, data))
    with pytest.raises(InputError, match="delete it to begin anew"):
        load_checkpoint(path)


def test_checkpoint_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write the checkpoint"):
        save_checkpoint(Checkpoint({}, State(0, 0, 0)), tmp_path / "nowhere" / "a.checkpoint")
