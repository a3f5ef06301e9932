"""Modules of one's own as networks: taps, their strides, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

import bitbrush
from bitbrush.errors import InputError
from bitbrush.layers import QuantConv2d
from bitbrush.networks.own import from_module
from bitbrush.quantizers import Sign
from bitbrush.style.defaults import resolved
from bitbrush.style.settings import PaintSettings


class Branched(nn.Module):
    """No plain sequence: a branch, a submodule that is not used, one that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.left = nn.Conv2d(4, 4, 3, 1, 1)
        self.right = nn.Conv2d(4, 4, 3, 1, 1)
        self.deep = nn.Conv2d(4, 6, 3, 2, 1)
        self.twice = nn.Tanh()
        self.idle = nn.Conv2d(4, 4, 1)
        self.inplace = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 2)
        self.reached = 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.twice(self.left(x)) + self.twice(self.right(x))
        x = self.inplace(self.deep(x))
        self.reached += 1
        return torch.as_tensor(self.head(x.mean((2, 3))))


def module() -> Branched:
    torch.manual_seed(0)
    return Branched()


def test_taps_are_what_submodules_give() -> None:
    own = module()
    network = from_module(own, {"fine": "stem", "coarse": "inplace", "middle": "right"})
    assert list(network.taps) == ["fine", "middle", "coarse"]
    assert [tap.stride for tap in network.taps.values()] == [2, 2, 4]
    image = torch.rand(1, 3, 40, 56)
    x = (image - network.mean) / network.std
    stem = own.stem(x)
    total = own.left(stem).tanh() + own.right(stem).tanh()
    found = network(image, ["fine", "coarse", "middle"])
    assert list(found) == ["fine", "middle", "coarse"]
    torch.testing.assert_close(found["fine"], stem)
    torch.testing.assert_close(found["middle"], own.right(stem))
    torch.testing.assert_close(found["coarse"], own.deep(total).relu())
    assert not own.training and not any(p.requires_grad for p in own.parameters())


def test_nothing_beyond_the_deepest_tap_is_computed_and_no_hook_stays() -> None:
    own = module()
    network = from_module(own, ["stem"])
    before = own.reached
    assert list(network(torch.rand(1, 3, 32, 32), ["stem"])) == ["stem"]
    assert own.reached == before
    own(torch.rand(1, 3, 32, 32))
    assert not any(each._forward_hooks for each in own.modules())


def test_paths_alone_name_the_taps() -> None:
    assert list(from_module(module(), ["stem.0", "left"]).taps) == ["stem_0", "left"]


def test_mean_and_deviation_are_the_modules() -> None:
    own = module()
    network = from_module(own, ["stem"], mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(network(image, ["stem"])["stem"], own.stem(image))


@pytest.mark.parametrize(
    ("taps", "text"),
    [
        (["lefd"], "did you mean 'left'"),
        ([], "at least one submodule"),
        ("stem", "a list or a mapping"),
        (["idle"], "idle is not used"),
        (["twice"], "twice is used twice"),
        (["head"], "head gives no map"),
        (["deep"], r"deep gives is overwritten.*inplace=True"),
        ({"a:b": "stem"}, "cannot name a tap"),
    ],
)
def test_what_cannot_be_a_tap(taps: list[str], text: str) -> None:
    with pytest.raises(InputError, match=text):
        from_module(module(), taps)


def test_a_name_that_is_taken() -> None:
    with pytest.raises(InputError, match="vgg19 is the name"):
        from_module(module(), ["stem"], name="vgg19")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_module_that_takes_no_float32(dtype: torch.dtype) -> None:
    own = module().to(dtype)
    with pytest.raises(InputError, match=r"make it float32: module\.float\(\)"):
        from_module(own, ["stem"])
    assert list(from_module(own.float(), ["stem"]).taps) == ["stem"]


def test_threads_get_their_own_maps() -> None:
    own = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    # Two networks may wrap one module.
    networks = [from_module(own, {"a": "1", "b": "3"}) for _ in range(2)]
    pictures = torch.rand(2, 1, 3, 32, 32)
    with torch.no_grad():
        expected = [networks[0](picture, ["a", "b"]) for picture in pictures]

    def work(index: int) -> int:
        right = 0
        with torch.no_grad():
            for _ in range(150):
                found = networks[index](pictures[index], ["a", "b"])
                right += all(torch.equal(found[tap], expected[index][tap]) for tap in ("a", "b"))
        return right

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, range(2))) == [150, 150]


def test_it_paints_and_says_so() -> None:
    network = from_module(module(), {"fine": "stem", "coarse": "inplace"}, name="mine")
    options = {"size": 64, "steps": 2}
    torch.manual_seed(1)
    content, style = torch.rand(2, 3, 64, 64)
    painting = bitbrush.paint(content, style, network=network, **options)
    assert painting.image.shape == (1, 3, 64, 64)
    assert painting.settings.network == "mine"
    assert painting.metadata["resolved"]["style_taps"] == "fine,coarse"
    assert painting.metadata["resolved"]["content_taps"] == "coarse"
    same = bitbrush.paint(content, style, network=network, **options)
    assert same.metadata["run"] == painting.metadata["run"]
    assert torch.equal(same.image, painting.image)
    with torch.no_grad():
        next(network.parameters()).add_(1)
    other = bitbrush.paint(content, style, network=network, **options)
    assert other.metadata["weights_sha256"] != painting.metadata["weights_sha256"]


def test_what_a_given_network_decides_cannot_be_set_beside_it() -> None:
    network = from_module(module(), ["stem"])
    with pytest.raises(InputError, match="engine is the given network's own"):
        bitbrush.paint(torch.rand(3, 64, 64), "waves", network=network, engine="float")


def test_an_estimator_has_a_meaning_where_there_are_signs() -> None:
    settings = PaintSettings(network="own", estimator="approx")
    with pytest.raises(InputError, match="own, which has no one-bit layers"):
        resolved(settings, from_module(module(), ["stem"]))
    one_bit = nn.Sequential(
        nn.Conv2d(3, 4, 3), QuantConv2d(4, 4, 3, input_quantizer=Sign(), kernel_quantizer=Sign())
    )
    assert resolved(settings, from_module(one_bit, {"a": "0"})).estimator == "approx"
