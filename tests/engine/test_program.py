"""Forward passes that were written down give what they gave, and disturb nobody."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from bitbrush.engine import program
from bitbrush.engine.freeze import freeze
from bitbrush.engine.line import LineNetwork
from bitbrush.engine.notes import plainly
from bitbrush.engine.runtime import openmp
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.quicknet_v1 import QuickNetV1

MAKERS: dict[str, Callable[[], Any]] = {
    "quickbrush": lambda: QuickBrush(stem=32, widths=(64, 128), blocks=(1, 2)),
    "quicknet": lambda: QuickNetV1("quicknet-v1", (2, 1), (64, 128), classes=5),
}

pytestmark = pytest.mark.skipif(openmp() is None, reason="programs run on OpenMP's threads")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def network(name: str) -> LineNetwork:
    torch.manual_seed(0)
    frozen = freeze(MAKERS[name]().settle(), "float32")
    assert isinstance(frozen, LineNetwork)
    return frozen


def pictures(count: int, height: int = 45, width: int = 60) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.rand(1, 3, height, width, generator=random) for _ in range(count)]


def kept(frozen: LineNetwork) -> list[Any]:
    return list(program._of_networks[frozen].found.values())


@pytest.mark.parametrize("name", MAKERS)
def test_later_passes_give_what_the_first_gave(name: str) -> None:
    frozen, some = network(name), pictures(4)
    taps = [tap for tap, about in frozen.taps.items() if about.size is None]
    # With a gradient no program is made.
    expected = [frozen(image.clone().requires_grad_(True), taps) for image in some]
    found = [frozen(image, taps) for image in (some[0], *some)][1:]
    assert [type(each) for each in kept(frozen)] == [program.Program]
    # All at the end: no result may be written over by the next one.
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(one[tap], other[tap]) for tap in taps)


def test_logits() -> None:
    frozen = network("quicknet")
    (image,) = pictures(1, 224, 224)
    first, *rest = [frozen(image, ["logits"])["logits"] for _ in range(3)]
    assert all(torch.equal(first, each) for each in rest)


def test_sizes_taps_and_threads_have_their_own() -> None:
    frozen = network("quickbrush")
    for size in (40, 50):
        (image,) = pictures(1, size, size)
        for taps in (["stem"], ["stage1.block1"]):
            for threads in (2, 3):
                torch.set_num_threads(threads)
                results = [frozen(image, taps)[taps[0]] for _ in range(3)]
                assert torch.equal(results[0], results[2])
    assert len(kept(frozen)) == program.PROGRAMS


def test_large_pictures_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, some = network("quickbrush"), pictures(3)
    monkeypatch.setattr(program, "PIXELS", 45 * 60 - 1)
    for image in some:
        frozen(image, ["stem"])
    assert frozen not in program._of_networks
    monkeypatch.setattr(program, "PIXELS", 45 * 60)
    monkeypatch.setattr(program, "ROOM", 2**18)
    results = [frozen(some[0], ["stem", "stage2.block2"]) for _ in range(3)]
    assert kept(frozen) == [False]
    assert torch.equal(results[0]["stage2.block2"], results[2]["stage2.block2"])


def test_python_threads_do_not_disturb_each_other() -> None:
    frozen, some = network("quickbrush"), pictures(6)
    taps = ["stem", "stage2.block2"]
    expected = [frozen(image.clone().requires_grad_(True), taps) for image in some]
    for _ in range(2):
        frozen(some[0], taps)
    wrong: list[int] = []

    def work(number: int) -> None:
        torch.set_num_threads(2)
        for _ in range(20):
            found = frozen(some[number], taps)
            if any(not torch.equal(found[tap], expected[number][tap]) for tap in taps):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(some))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_network_takes_its_programs_along() -> None:
    frozen, (image,) = network("quickbrush"), pictures(1)
    for _ in range(3):
        frozen(image, ["stem"])
    (made,) = kept(frozen)
    gone = weakref.ref(made)
    del frozen, made
    gc.collect()
    assert gone() is None


def test_where_memory_is_counted_nothing_is_noted() -> None:
    frozen, (image,) = network("quickbrush"), pictures(1)
    with plainly():
        results = [frozen(image, ["stem"])["stem"] for _ in range(3)]
    assert frozen not in program._of_networks
    assert torch.equal(results[0], results[2])


def test_a_large_picture_ends_the_programs_of_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, (image,) = network("quickbrush"), pictures(1)
    for _ in range(2):
        frozen(image, ["stem"])
    assert kept(frozen)
    monkeypatch.setattr(program, "PIXELS", 45 * 60)
    frozen(torch.cat((image, image), 3), ["stem"])
    assert frozen not in program._of_networks
