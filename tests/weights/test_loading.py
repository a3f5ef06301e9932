"""Which weights a name gets, from which kinds of file, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import bitbrush
from bitbrush.errors import InputError, NetworkMissingError
from bitbrush.networks.heads import set_classes
from bitbrush.networks.taps import Network
from bitbrush.weights import importing, loading
from bitbrush.weights.bits import save_network
from bitbrush.weights.cache import cached_file, import_into_cache, import_to
from bitbrush.weights.importing import build, import_weights, sniff
from bitbrush.weights.loading import load_network, resolve_weights, where_weights

SHARED = Path(__file__).parents[2] / ".." / "shared" / "weights"
NAME = "vgg19-normalised"  # the smallest network that files of another project hold


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No cache, no named files, nothing shipped; returns the folder of shipped files."""
    monkeypatch.setenv("BITBRUSH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BITBRUSH_WEIGHTS", raising=False)
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(loading, "SHIPPED", shipped)
    return shipped


def marked(path: Path, value: float) -> Path:
    """A file of the network with a bias that tells it apart."""
    network = build(NAME)
    network.get_parameter("colour.bias").data.fill_(value)
    save_network(network, path, {})
    return path


def mark(network: Network) -> float:
    return network.get_parameter("colour.bias")[0].item()


def test_default_is_shipped_then_named_then_cached(
    empty_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NetworkMissingError, match="weights import FILE --network"):
        load_network(NAME)
    with pytest.raises(NetworkMissingError, match="'bitbrush weights pull quicknet'"):
        load_network("quicknet")
    marked(cached_file(NAME), 3)
    assert mark(load_network(NAME)) == 3
    assert resolve_weights(NAME).origin == "cache"
    named = marked(tmp_path / "named.safetensors", 2)
    monkeypatch.setenv("BITBRUSH_WEIGHTS", f"quicknet=/none,{NAME}={named}")
    assert mark(load_network(NAME)) == 2
    shipped = marked(empty_machine / f"{NAME}.safetensors", 1)
    assert mark(load_network(NAME)) == 1
    info = resolve_weights(NAME)
    assert (info.origin, info.file_name) == ("shipped", f"{NAME}.safetensors")
    assert info.sha256 == hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert mark(load_network(NAME, named)) == 2
    assert resolve_weights(NAME, named).origin == "file"


def test_random_weights_are_repeatable_and_disturb_nothing() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = load_network("quickbrush", None), load_network("quickbrush", "none")
    assert torch.equal(torch.rand(1), expected)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not first.training and not any(p.requires_grad for p in first.parameters())
    assert resolve_weights("quickbrush", None).sha256 is None


def test_a_one_bit_network_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "q.safetensors"
    save_network(load_network("quickbrush", None, engine="float"), path, {})
    image, taps = torch.rand(1, 3, 32, 32), ["stage4.block3"]
    for engine in ("float", "packed"):
        network = load_network("quickbrush", None, engine=engine)
        again = load_network("quickbrush", path, engine=engine)
        assert network.engine == again.engine == engine
        assert torch.equal(again(image, taps)[taps[0]], network(image, taps)[taps[0]])


def test_quicknet_v1_takes_few_bytes(tmp_path: Path) -> None:
    path = tmp_path / "quicknet-v1.safetensors"
    save_network(build("quicknet-v1"), path, {})
    assert path.stat().st_size <= 4_500_000


def test_foreign_files_are_told_by_their_content(tmp_path: Path) -> None:
    network = build(NAME)
    arrays = {
        key.replace("convs.relu", "conv").replace("colour", "conv0"): value.clone()
        for key, value in network.state_dict().items()
    }
    safetensors, pickled = tmp_path / "a.safetensors", tmp_path / "b.pth"
    save_file(arrays, safetensors)
    torch.save(arrays, pickled)
    old = tmp_path / "c.bin"
    torch.save(arrays, old, _use_new_zipfile_serialization=False)
    misnamed = tmp_path / "d.pth"
    save_file(arrays, misnamed)
    for path in (safetensors, pickled, old, misnamed):
        loaded, metadata = import_weights(path, NAME)
        assert torch.equal(loaded.get_parameter("colour.weight"), network.colour.weight)  # type: ignore[union-attr]
        assert metadata["source"] == path.name and len(metadata["source-sha256"]) == 64
    ours = import_to(pickled, NAME, tmp_path / "ours.safetensors")
    assert sniff(ours) == "bitbrush"
    _, kept = import_weights(ours, NAME)
    assert kept["source"] == "b.pth" and kept["network"] == NAME
    with pytest.raises(InputError, match=f"holds {NAME}, not vgg19-16x"):
        import_weights(ours, "vgg19-16x")
    with pytest.raises(InputError, match="no state_dict file holds quicknet"):
        import_weights(pickled, "quicknet")
    arrays["conv0.bias"][0] = torch.nan
    save_file(arrays, safetensors)
    with pytest.raises(InputError, match="no finite numbers"):
        import_weights(safetensors, NAME)


def test_a_published_file_is_recognised() -> None:
    file = SHARED / "binarized_imagenet-resnet18-64bit-0040.params"
    if not file.exists():
        pytest.skip(f"{file.name} is not here")
    path = import_into_cache(file, "resnet18-bmxnet")
    assert path.stat().st_size < 1.01 * file.stat().st_size
    network, metadata = import_weights(path, "resnet18-bmxnet")
    assert metadata["licence"] == "Apache-2.0" and metadata["source"].endswith(file.name)
    direct, _ = import_weights(file, "resnet18-bmxnet")
    for key, value in direct.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key
    assert where_weights("resnet18-bmxnet") == f"cache: {path}"


@pytest.mark.parametrize("classes", ["999999999999", "9" * 5000, "60000", "999999999"])
def test_memory_is_kept_for_no_classes_that_a_file_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: str
) -> None:
    def shapes_only(network: Network, count: int) -> None:
        assert all(value.is_meta for value in network.parameters())
        set_classes(network, count)

    monkeypatch.setattr(importing, "set_classes", shapes_only)
    path = tmp_path / "own.safetensors"
    save_network(build("squeezenet"), path, {"classes": classes})
    with pytest.raises(InputError, match="damaged|does not fit") as caught:
        import_weights(path, "squeezenet")
    assert len(str(caught.value)) < 400


def test_a_head_for_other_classes_is_read(tmp_path: Path) -> None:
    network = build("squeezenet")
    set_classes(network, 3)
    path = tmp_path / "own.safetensors"
    save_network(network, path, {"classes": "3"})
    loaded, _ = import_weights(path, "squeezenet")
    for key, value in network.state_dict().items():
        assert loaded.state_dict()[key].shape == value.shape


@pytest.mark.parametrize(
    "data", [b"", b"short", b"\x12\x01" + bytes(6) + b"x" * 8, b"\xff" * 64, b"PK\x03\x04rest"]
)
def test_rubbish_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rubbish.pth"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        import_weights(path, NAME)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "packet"}, "did you mean 'packed'"),
        ({"engine": "packed"}, "has no one-bit layers"),
        ({"precision": "bf61"}, "did you mean 'bf16'"),
        ({"precision": "bf16"}, "is the packed engine's"),
        ({"device": "cudo"}, "did you mean 'cuda'"),
        ({"device": "cuda:99"}, "no device cuda:99"),
        ({"device": "cpu:1"}, "unknown device"),
        ({"device": "cpu:"}, "unknown device"),
        ({"device": "cuda:"}, "unknown device"),
        ({"weights": "no/such/file"}, "there is no such file"),
    ],
)
def test_what_cannot_be_had(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_network(NAME, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["quickbrush", "quickbrush=", "quickbrish=a", "quickbrush=/none"])
def test_a_malformed_list_of_files(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITBRUSH_WEIGHTS", value)
    with pytest.raises(InputError, match=r"BITBRUSH_WEIGHTS|did you mean"):
        load_network("quickbrush")


def test_the_public_name() -> None:
    assert bitbrush.load_network is load_network
    with pytest.raises(AttributeError):
        bitbrush.nothing  # noqa: B018
