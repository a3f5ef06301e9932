"""Our own weight file: what is stored, what comes back, and what is refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from bitbrush.errors import InputError
from bitbrush.layers import Conv2d, QuantConv2d, QuantLinear
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.taps import Network, Tap
from bitbrush.quantizers import DoReFaWeights, MagnitudeAwareSign, Quantizer, Sign, XnorScale
from bitbrush.weights.bits import (
    load_into,
    pack_signs,
    read_network_file,
    save_network,
    unpack_signs,
)


class Tiny(Network):
    """Every kind of layer that a file can hold, with sizes that fill no whole byte."""

    def __init__(self) -> None:
        super().__init__("tiny", {"out": Tap(stride=1)})
        self.stem = Conv2d(3, 5, 3, bias=True)
        self.norm = nn.BatchNorm2d(5)
        self.plain = self._conv(Sign())
        self.per_filter = self._conv(MagnitudeAwareSign())
        self.per_layer = self._conv(MagnitudeAwareSign(None, per_filter=False))
        self.xnor = self._conv(XnorScale())
        self.two_bit = self._conv(DoReFaWeights(2))
        self.dense = QuantLinear(5, 7, kernel_quantizer=XnorScale())

    def _conv(self, quantizer: Quantizer) -> QuantConv2d:
        return QuantConv2d(5, 5, 3, input_quantizer=Sign(), kernel_quantizer=quantizer)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        x = self.norm(self.stem(x))
        for layer in (self.plain, self.per_filter, self.per_layer, self.xnor, self.two_bit):
            x = layer(x)
        yield "out", self.dense(x.mean((2, 3)))


@pytest.fixture
def tiny() -> Tiny:
    torch.manual_seed(1)
    network = Tiny()
    network.norm.running_mean.uniform_(-300, 300)  # type: ignore[operator]
    network.norm.running_var.uniform_(1e5, 2e5)  # type: ignore[operator]
    return network.eval()  # type: ignore[return-value]


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_packing_is_lossless_with_the_lowest_bit_first(signs: list[bool]) -> None:
    weight = torch.tensor([1.0 if s else -1.0 for s in signs])
    packed = pack_signs(weight)
    as_number = sum(1 << place for place, s in enumerate(signs) if s)
    assert bytes(packed.tolist()) == as_number.to_bytes(-(-len(signs) // 8), "little")
    assert torch.equal(unpack_signs(packed, (len(signs),)), weight)


def test_zero_packs_as_plus_one() -> None:
    assert pack_signs(torch.tensor([0.0, -0.0, -1e-30])).tolist() == [0b011]


def test_a_settled_network_gets_the_same_numbers(tiny: Tiny, tmp_path: Path) -> None:
    image = torch.rand(1, 3, 32, 32)
    expected = tiny(image, ["out"])["out"]
    path = tmp_path / "tiny.safetensors"
    save_network(tiny, path, {"licence": "MIT"})
    arrays, metadata = read_network_file(path)
    assert len(metadata.pop("content-sha256")) == 64
    assert metadata == {"format": "bitbrush-1", "network": "tiny", "licence": "MIT"}
    again = Tiny()
    again.settle()
    load_into(again, arrays)
    assert torch.equal(again(image, ["out"])["out"], expected)


def test_a_latent_network_quantizes_to_the_same_kernels(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_network(tiny, path, {})
    again = Tiny()
    load_into(again, read_network_file(path)[0])
    for name in ("plain", "per_filter", "per_layer", "xnor", "two_bit", "dense"):
        kernel = getattr(again, name).kernel()
        torch.testing.assert_close(kernel, getattr(tiny, name).kernel(), msg=name)


def test_what_the_file_holds(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_network(tiny, path, {}, half=True)
    arrays, _ = read_network_file(path)
    assert arrays["plain.weight.bits"].shape == (29,)  # 225 bits
    assert "plain.weight.scale" not in arrays and "plain.weight" not in arrays
    assert arrays["per_filter.weight.scale"].shape == (5,)
    assert arrays["per_layer.weight.scale"].shape == (1,)
    assert arrays["dense.weight.bits"].shape == (5,)
    assert arrays["two_bit.weight"].shape == (5, 5, 3, 3)
    assert arrays["stem.weight"].dtype == torch.float16
    # A variance beyond float16's range has to survive.
    assert torch.equal(arrays["norm.running_var"], tiny.norm.running_var)
    assert not any("num_batches_tracked" in name for name in arrays)


def test_the_same_network_gives_the_same_bytes(tiny: Tiny, tmp_path: Path) -> None:
    metadata = {f"key{n}": str(n) for n in range(20)}
    for name in ("a", "b"):
        save_network(tiny, tmp_path / name, metadata)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_one_bit_weight_takes_one_bit(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    network = QuickBrush(stem=8, widths=(64, 512), blocks=(1, 4))
    save_network(network, path, {})
    one_bit = sum(
        w.numel()
        for n, w in network.named_parameters()
        if n.endswith(".conv.weight") and w.shape[-1] == 3
    )
    floats = sum(w.numel() for w in network.state_dict().values()) - one_bit
    assert one_bit > 9_000_000
    assert path.stat().st_size < one_bit / 8 + 4 * floats + 20_000


def test_failed_write_leaves_nothing(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="is a file, or below one"):
        save_network(tiny, tmp_path / "file" / "tiny.safetensors", {})
    tiny.stem.weight.data[0] = torch.nan
    with pytest.raises(InputError, match=r"stem\.weight of tiny"):
        save_network(tiny, tmp_path / "tiny.safetensors", {})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def _header(text: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text.encode() + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 2**62) + b"{}",
        _header("not json"),
        _header('{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}', b"1234"),
        _header(
            '{"__metadata__": {"format": "bitbrush-1"}, "a": {"dtype": "F32", '
            '"shape": [1099511627776, 4], "data_offsets": [0, 4]}}',
            b"1234",
        ),
        _header(
            '{"__metadata__": {"format": "bitbrush-1"}, "a": {"dtype": "F64", '
            '"shape": [1], "data_offsets": [0, 8]}}',
            b"12345678",
        ),
        _header('{"__metadata__": {"format": "bitbrush-2"}}'),
        _header('{"__metadata__": {"format": 3}}'),
    ],
)
def test_hostile_files_are_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_network_file(path)
    assert "\n" not in str(caught.value) and "bad.safetensors" in str(caught.value)


def test_missing_file_and_folder_are_input_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError):
            read_network_file(path)


def test_truncated_anywhere_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_network(tiny, path, {})
    whole = path.read_bytes()
    for length in (4, 8, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_network_file(path)


def test_one_flipped_bit_is_noticed(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_network(tiny, path, {})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        read_network_file(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("stem.bias"), "lacks 'stem.bias'"),
        (lambda s: s.update(more=torch.zeros(1)), "has 'more'"),
        (lambda s: s.update({"stem.bias": torch.zeros(6)}), r"stem.bias is \[6\], not \[5\]"),
        (lambda s: s.update({"stem.bias": torch.full((5,), torch.inf)}), "no finite numbers"),
        (lambda s: s.update({"stem.bias": torch.zeros(5, dtype=torch.uint8)}), "stored as"),
        (lambda s: s.update({"plain.weight.bits": torch.zeros(29)}), "stored as"),
    ],
)
def test_arrays_that_do_not_fit(tiny: Tiny, tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "tiny.safetensors"
    save_network(tiny, path, {})
    state, _ = read_network_file(path)
    change(state)
    with pytest.raises(InputError, match=message):
        load_into(Tiny(), state)


def test_a_foreign_safetensors_file_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"format": "pt"})
    assert json.loads(path.read_bytes()[8:].split(b"}}")[0] + b"}}")["__metadata__"]
    with pytest.raises(InputError, match="not a bitbrush weight file"):
        read_network_file(path)
