"""From a network's name to a network that is ready to use."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

from ..choices import DEVICES, ENGINES, PRECISIONS
from ..errors import InputError, NetworkMissingError, unknown_name
from ..networks.registry import network_spec
from ..networks.taps import Network
from .cache import cached_file
from .catalogue import published
from .download import file_sha256
from .importing import Pooling, build, import_weights

Origin = Literal["shipped", "file", "cache", "random", "given"]
SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class WeightsInfo:
    """Which weights a network gets.

    Attributes:
        network: its name.
        origin: shipped with bitbrush, a file that was named, the cache, random, or given with the
            network itself.
        path: of the file; None for random and given weights.
        sha256: of the file, in hex; of given weights themselves; None for random ones.
    """

    network: str
    origin: Origin
    path: Path | None = None
    sha256: str | None = None

    @property
    def file_name(self) -> str | None:
        """The file's name without its folder, as it may be told to others."""
        return self.path.name if self.path is not None else None


def load_network(
    name: str,
    weights: Path | str | None = "default",
    *,
    engine: str = "auto",
    device: str = "cpu",
    pooling: Pooling | None = None,
    precision: str = "auto",
) -> Network:
    """A network with its weights, settled, in evaluation mode, on the device.

    Args:
        name: in the registry.
        weights: "default": those shipped with bitbrush, else those of the file that
            `BITBRUSH_WEIGHTS` (NAME=FILE,…) names, else those in the cache; a file, ours or any
            that the network can be imported from; None or "none": random, the same each time.
        engine: "packed" runs one-bit layers on packed bits; "float" computes in floats; "auto" is
            packed wherever that can be: the network has such layers, and Numba is there.
        device: cpu, cuda or mps; cuda:1 and so on for further GPUs.
        pooling: instead of the network's own, "max" or "average".
        precision: of the packed engine's gradient to the image: "float32", "bf16", "int8",
            "low-bit", or "auto", the fastest that this CPU has.
    Raises:
        NetworkMissingError: "default", and the weights are not on this machine.
        InputError: an unknown name, engine, precision or device, a device that is not there, a bad
            file, or an engine or precision that the network cannot have.
    """
    target = _device(device)
    packed = choose_engine(name, engine, target.type, precision) == "packed"
    info = resolve_path(name, weights)
    if info.path is None:
        network = build(name, pooling).settle()
    else:
        network, _ = import_weights(info.path, name, pooling)
    if packed:
        from ..engine.freeze import freeze

        # The kernels for 8-bit integers are the CPU's.
        if precision == "auto" and target.type != "cpu":
            precision = "bf16"
        network = freeze(network, precision)
    elif target.type == "cpu":
        # torch's convolutions take up to a third less time so, and our statistics are made for it.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(target)


def choose_engine(
    name: str, engine: str, device: str = "cpu", precision: str = "auto"
) -> Literal["float", "packed"]:
    """Which engine a network gets.

    Args:
        name: of the network.
        engine, precision: as for `load_network`.
        device: cpu, cuda or mps.
    Raises:
        InputError: an unknown network, engine or precision, or one that cannot be had.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    one_bit = network_spec(name).kind != "float"
    numba = find_spec("numba") is not None
    if engine == "packed":
        if not one_bit:
            raise InputError(f"{name} has no one-bit layers to pack; use the engine 'float'")
        if not numba:
            raise InputError("the packed engine needs Numba: pip install numba")
        chosen = True
    else:
        chosen = engine == "auto" and one_bit and numba and device != "mps"
    if precision in ("int8", "low-bit") and chosen and device != "cpu":
        raise InputError(f"{precision} gradients are computed on the CPU only, not on {device}")
    if not chosen and precision not in ("auto", "float32"):
        raise InputError(
            f"precision {precision!r} is the packed engine's, which {name} does not get"
        )
    return "packed" if chosen else "float"


def resolve_weights(name: str, weights: Path | str | None = "default") -> WeightsInfo:
    """Which weights `load_network` would take, with the hash of their file.

    Raises:
        InputError: as `load_network`, for the network's name and file.
    """
    info = resolve_path(name, weights)
    if info.path is None:
        return info
    try:
        return WeightsInfo(info.network, info.origin, info.path, file_sha256(info.path))
    except OSError as error:
        raise InputError(f"cannot read {info.path}: {error.strerror or error}") from error


def resolve_path(name: str, weights: Path | str | None = "default") -> WeightsInfo:
    """As `resolve_weights`, without reading the file; sha256 is None."""
    network_spec(name)
    if weights is None or weights == "none":
        return WeightsInfo(name, "random")
    if weights != "default":
        path = Path(weights).expanduser()
        if not path.is_file():
            raise InputError(f"cannot read {path}: there is no such file")
        return WeightsInfo(name, "file", path)
    found = find_default(name)
    if found is None:
        raise NetworkMissingError(f"the weights of {name} are not here; get them with {_way(name)}")
    return found


def find_default(name: str) -> WeightsInfo | None:
    """The weights that "default" means for a network, or None if they are not on this machine.

    Raises:
        InputError: `BITBRUSH_WEIGHTS` is malformed or names a file that is not there.
    """
    shipped = SHIPPED / f"{name}.safetensors"
    if shipped.is_file():
        return WeightsInfo(name, "shipped", shipped)
    named = _named_files().get(name)
    if named is not None:
        if not named.is_file():
            raise InputError(f"BITBRUSH_WEIGHTS names {named} for {name}, which is not there")
        return WeightsInfo(name, "file", named)
    cached = cached_file(name)
    return WeightsInfo(name, "cache", cached) if cached.is_file() else None


def where_weights(name: str) -> str:
    """Where a network's default weights are, or how to get them, for people to read.

    Raises:
        InputError: an unknown network, or as `find_default`.
    """
    network_spec(name)
    found = find_default(name)
    if found is None:
        return f"not here: {_way(name)}"
    return "shipped" if found.origin == "shipped" else f"{found.origin}: {found.path}"


def _way(name: str) -> str:
    if published(name) is not None:
        return f"'bitbrush weights pull {name}'"
    return f"'bitbrush weights import FILE --network {name}'"


def _named_files() -> dict[str, Path]:
    """The files that BITBRUSH_WEIGHTS names, by network."""
    files = {}
    for item in filter(None, os.environ.get("BITBRUSH_WEIGHTS", "").split(",")):
        name, equals, path = item.partition("=")
        if not equals or not path:
            raise InputError(f"BITBRUSH_WEIGHTS is NAME=FILE,NAME=FILE,…, which {item!r} is not")
        files[network_spec(name.strip()).name] = Path(path.strip()).expanduser()
    return files


def _device(name: str) -> torch.device:
    kind, colon, index = name.partition(":")
    numbered = kind == "cuda" and re.fullmatch("0|[1-9][0-9]{0,3}", index)
    if kind not in DEVICES or (colon and not numbered):
        raise unknown_name("device", name, DEVICES)
    if kind == "cuda":
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= there:
            raise InputError(f"no device {name}: this machine has {there} usable CUDA devices")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError("no device mps: Metal is not available here")
    return torch.device(name)
