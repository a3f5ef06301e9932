"""Kernels on several threads: OpenMP's or Python's, and from several Python threads at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import torch
from torch import Tensor

from bitbrush.engine import runtime
from bitbrush.engine.freeze import packed
from bitbrush.engine.kernels import KERNELS, PACK
from bitbrush.layers import QuantConv2d
from bitbrush.quantizers import Sign


@pytest.fixture(params=["OpenMP", "Python"])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "Python":
        monkeypatch.setattr(runtime, "openmp", lambda: None)
    elif runtime.openmp() is None:
        pytest.skip("this process has no OpenMP runtime")
    before = torch.get_num_threads()
    yield request.param
    torch.set_num_threads(before)


def layer_and_map() -> tuple[torch.nn.Module, Tensor]:
    torch.manual_seed(1)
    layer = QuantConv2d(
        96, 70, 3, input_quantizer=Sign(), kernel_quantizer=Sign(), pad_value=1.0, padding=1
    )
    frozen = packed(layer, "float32")
    assert frozen is not None
    return frozen, torch.randn(2, 96, 19, 17)


def forth_and_back(frozen: torch.nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_(True)
    result = frozen(leaf)
    (gradient,) = torch.autograd.grad(result.square().sum(), leaf)
    return result.detach(), gradient


def test_threads_make_no_difference(pool: str) -> None:
    frozen, x = layer_and_map()
    found = []
    for threads in (1, 2, 7):
        torch.set_num_threads(threads)
        found.append(frozen(x))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_two_python_threads_do_not_disturb_each_other(pool: str) -> None:
    """Each has maps of its own; what they share is kernels, weights and the pool."""
    torch.set_num_threads(3)
    frozen, x = layer_and_map()
    maps = [x, -x, x.flip(2), x * 2 - 1]
    alone = [forth_and_back(frozen, each) for each in maps]
    wrong: list[str] = []

    def work(index: int) -> None:
        torch.set_num_threads(3)
        for _ in range(20):
            result, gradient = forth_and_back(frozen, maps[index])
            if not torch.equal(result, alone[index][0]):
                wrong.append(f"result {index}")
            if not torch.allclose(gradient, alone[index][1], rtol=1e-4, atol=1e-3):
                wrong.append(f"gradient {index}")

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(maps))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not wrong


def test_every_thread_ends_before_an_interruption_does() -> None:
    """They write to memory that is freed once the call has ended."""

    class Interrupted(Future[None]):
        asked = 0

        def cancel(self) -> bool:
            return False

        def result(self, timeout: float | None = None) -> None:
            self.asked += 1
            if self.asked == 1:
                raise KeyboardInterrupt

    both = [Interrupted(), Interrupted()]
    with pytest.raises(KeyboardInterrupt):
        runtime._wait(both)
    assert [future.asked for future in both] == [2, 2]


def test_kernels_are_named_once() -> None:
    names = [kernel.name for kernel in KERNELS]
    assert len(set(names)) == len(names)


def test_assembly_shows_vector_instructions() -> None:
    text = PACK.assembly()
    assert "mm" in text or "v0." in text


def test_assembly_is_kept_for_the_next_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = PACK.assembly()

    def built_again() -> None:
        raise AssertionError("it is there")

    monkeypatch.setattr(PACK, "_build", built_again)
    assert PACK.assembly() == text


def test_who_runs_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "openmp", lambda: None)
    assert runtime.threading_layer() == "threads of Python"
