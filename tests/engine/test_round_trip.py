"""Steps that are run again from notes: bit for bit those of the plain way."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from bitbrush.engine import round_trip
from bitbrush.engine.freeze import freeze
from bitbrush.engine.line import LineNetwork
from bitbrush.engine.precision import best_precision
from bitbrush.engine.tape import can_play
from bitbrush.networks.handover import give_away
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.quicknet_v1 import QuickNetV1
from bitbrush.quantizers import Estimator, image_estimator

MAKERS: dict[str, Callable[[], Any]] = {
    "quickbrush": lambda: QuickBrush(stem=32, widths=(64, 128), blocks=(1, 2)),
    "quicknet": lambda: QuickNetV1("quicknet-v1", (2, 1), (64, 128), classes=5),
}
TAPS = ["stem", "stage1.block1", "stage2.block1"]

pytestmark = pytest.mark.skipif(not can_play(2), reason="trips run on OpenMP's threads")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def network(name: str = "quickbrush", precision: str = "int8") -> LineNetwork:
    torch.manual_seed(0)
    frozen = freeze(MAKERS[name]().settle(), precision)
    assert isinstance(frozen, LineNetwork)
    return frozen


def pictures(count: int, height: int = 48, width: int = 64) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.rand(1, 3, height, width, generator=random) for _ in range(count)]


class Loss(torch.autograd.Function):
    """A map's squared length, whose gradient takes the place of the map, as those of painting."""

    @staticmethod
    def forward(ctx: Any, map_: Tensor) -> Tensor:
        ctx.save_for_backward(map_)
        return map_.square().sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (map_,) = ctx.saved_tensors
        return give_away(map_.mul_(2))


def step(frozen: LineNetwork, image: Tensor, taps: list[str] = TAPS) -> tuple[list[Tensor], Tensor]:
    """Copies of the maps, and the gradient."""
    leaf = image.clone().requires_grad_(True)
    maps = frozen(leaf, taps)
    copies = [map_.detach().clone() for map_ in maps.values()]
    losses = [Loss.apply(maps.pop(tap)) for tap in list(maps)]  # type: ignore[no-untyped-call]
    (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), leaf)
    return copies, gradient


def plain(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[], tuple[list[Tensor], Tensor]]
) -> tuple[list[Tensor], Tensor]:
    with monkeypatch.context() as patched:
        patched.setattr(round_trip, "PIXELS", 0)
        return work()


def same(one: tuple[list[Tensor], Tensor], other: tuple[list[Tensor], Tensor]) -> bool:
    return all(map(torch.equal, [*one[0], one[1]], [*other[0], other[1]]))


def trip(frozen: LineNetwork) -> Any:
    return round_trip._of_networks[frozen].trip


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("precision", ["float32", "bf16", "int8", "low-bit"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_steps_are_those_of_the_plain_way(
    name: str, precision: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(threads)
    frozen, some = network(name, precision), pictures(7)
    expected = [plain(monkeypatch, lambda image=image: step(frozen, image)) for image in some]  # type: ignore[misc]
    # All at the end: nothing that was given may be written over by a later step.
    found = [step(frozen, image) for image in some]
    assert all(map(same, found, expected))
    noted = trip(frozen)._home is not None
    # Low-bit gradients are rounded by torch's leave, and exact factors written by torch.
    assert noted or precision in ("float32", "bf16", "low-bit")
    if noted:
        assert trip(frozen)._walked and not trip(frozen)._useless


def test_the_usual_precision_is_noted() -> None:
    frozen = network(precision="auto")
    for image in pictures(5):
        step(frozen, image)
    # Without units for less than float32 this network's factors are floats, which torch writes.
    assert (trip(frozen)._home is None) == (best_precision() == "float32")


def test_a_map_that_is_kept_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody looks at maps and takes no gradient, or holds them while others pass."""
    frozen, some = network(), pictures(8)
    for image in some[:5]:
        step(frozen, image)
    expected = plain(monkeypatch, lambda: step(frozen, some[5]))
    kept = frozen(some[5].clone().requires_grad_(True), TAPS)
    kept = {tap: map_.detach() for tap, map_ in kept.items()}
    for image in some[6:]:
        wanted = plain(monkeypatch, lambda image=image: step(frozen, image))  # type: ignore[misc]
        assert same(step(frozen, image), wanted)
    assert all(map(torch.equal, kept.values(), expected[0]))
    del kept
    assert same(step(frozen, some[0]), plain(monkeypatch, lambda: step(frozen, some[0])))


def test_two_passes_before_one_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, some = network(), pictures(7)
    for image in some[:5]:
        step(frozen, image)
    leaves = [image.clone().requires_grad_(True) for image in some[5:]]
    passes = [frozen(leaf, TAPS) for leaf in leaves]
    gradients: list[Tensor] = []
    for leaf, maps in zip(leaves, passes, strict=True):
        losses = [Loss.apply(maps.pop(tap)) for tap in list(maps)]  # type: ignore[no-untyped-call]
        gradients += torch.autograd.grad(torch.stack(losses).sum(), leaf)
    for image, gradient in zip(some[5:], gradients, strict=True):
        _, wanted = plain(monkeypatch, lambda image=image: step(frozen, image))  # type: ignore[misc]
        assert torch.equal(gradient, wanted)


@pytest.mark.parametrize("noted", [False, True])
def test_gradients_that_come_otherwise(noted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the map's place, or not of every map."""
    frozen, some = network(), pictures(6)
    if noted:
        for image in some[:5]:
            step(frozen, image)

    def ordinary(image: Tensor, used: int) -> Tensor:
        leaf = image.clone().requires_grad_(True)
        maps = list(frozen(leaf, TAPS).values())
        loss = torch.stack([map_.square().sum() for map_ in maps[:used]]).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
        return gradient

    for used in (3, 1):
        with monkeypatch.context() as patched:
            patched.setattr(round_trip, "PIXELS", 0)
            expected = ordinary(some[5], used)
        assert all(torch.equal(ordinary(some[5], used), expected) for _ in range(5))
    assert same(step(frozen, some[0]), plain(monkeypatch, lambda: step(frozen, some[0])))


def test_shapes_taps_and_estimators_have_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = network()
    for size in (32, 48):
        (image,) = pictures(1, size, 40)
        for taps in (TAPS, TAPS[:2]):
            for estimator in (None, Estimator("approx", 2.0), Estimator("ste")):
                with image_estimator(estimator):
                    wanted = plain(monkeypatch, lambda i=image, t=taps: step(frozen, i, t))  # type: ignore[misc]
                    assert all(same(step(frozen, image, taps), wanted) for _ in range(5))
                    assert trip(frozen)._home is not None


def test_a_pass_that_never_comes_back_while_it_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, (image,) = network(), pictures(1)
    wanted = plain(monkeypatch, lambda: step(frozen, image))
    for _ in range(round_trip.IN_A_ROW - 1):
        step(frozen, image)
    frozen(image.clone().requires_grad_(True), TAPS)
    assert trip(frozen)._home is None
    assert all(same(step(frozen, image), wanted) for _ in range(3))
    assert trip(frozen)._home is not None


def test_large_pictures_are_not_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, some = network(), pictures(4)
    monkeypatch.setattr(round_trip, "PIXELS", 48 * 64 - 1)
    for image in some:
        step(frozen, image)
    assert frozen not in round_trip._of_networks
    monkeypatch.setattr(round_trip, "PIXELS", 48 * 64)
    monkeypatch.setattr(round_trip, "ROOM", 2**18)
    wanted = plain(monkeypatch, lambda: step(frozen, some[0]))
    assert all(same(step(frozen, some[0]), wanted) for _ in range(5))
    assert trip(frozen) is None


def test_python_threads_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, some = network(), pictures(4)
    expected = [plain(monkeypatch, lambda image=image: step(frozen, image)) for image in some]  # type: ignore[misc]
    wrong: list[int] = []

    def work(number: int) -> None:
        torch.set_num_threads(2)
        for _ in range(15):
            if not same(step(frozen, some[number]), expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(some))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_network_takes_its_trip_along() -> None:
    frozen = network()
    for image in pictures(5):
        step(frozen, image)
    gone = weakref.ref(trip(frozen))
    del frozen
    gc.collect()
    assert gone() is None
