"""Our own weight file: one safetensors file in which a one-bit weight takes one bit.

A layer whose kernel is a sign is stored as `<layer>.weight.bits`, one bit a weight, the lowest bit
of a byte first, in the C order of the weight tensor, 1 for +1; the last byte is filled with zeros.
Where the quantizer scales, `<layer>.weight.scale` holds its magnitudes, one for each filter or one
for the layer. Everything else is stored under its own name as float.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..atomic import write_atomically
from ..errors import InputError
from ..layers import QUANTIZED_LAYERS, QuantConv2d, QuantLinear
from ..networks.taps import Network
from ..quantizers import MagnitudeAwareSign, Sign, XnorScale

FORMAT = "bitbrush-1"
"""What `format` in the metadata of a file says; a later layout gets a later number."""

TITLE = "title"
"""In the metadata of a network that was trained here: what reports call it."""

HALF_MAX = 65504.0
HALF_MIN_NORMAL = 2.0**-14


def save_network(
    network: Network, path: Path | str, metadata: Mapping[str, str], *, half: bool = False
) -> None:
    """Writes a network's weights; a reader sees the old file or the whole new one.

    Args:
        network: latent or settled; what is stored is the quantized kernel.
        path: the file to write or replace.
        metadata: strings to keep beside the weights, such as source, source-sha256, licence.
            `format`, `network` and `content-sha256`, by which damage is seen, are filled in.
        half: store the float arrays of two dimensions and more as float16. Vectors (batch norm,
            biases, scales) stay float32: they weigh nothing, and a variance may exceed 65504.
    Raises:
        InputError: a weight is not finite, or the file cannot be written.
    """
    quantized = quantized_layers(network)
    packed = packed_layers(network)
    arrays: dict[str, Tensor] = {}
    for name, value in _stored_state(network):
        value = (quantized[name].kernel() if name in quantized else value).detach().cpu()
        if not torch.isfinite(value).all():
            raise InputError(f"{name} of {network.name} holds values that are no finite numbers")
        if name not in packed:
            fits = half and value.dim() > 1 and _fits_half(value)
            arrays[name] = value.to(torch.float16 if fits else torch.float32).contiguous()
        else:
            arrays[f"{name}.bits"] = pack_signs(value)
            if (scales := scale_count(packed[name])) is not None:
                arrays[f"{name}.scale"] = value.abs().flatten()[:: value.numel() // scales].clone()
    text = {str(key): str(value) for key, value in metadata.items()}
    text |= {"format": FORMAT, "network": network.name}
    write_atomically(Path(path), _with_metadata(save(arrays), text), parents=True)


def read_network_file(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The arrays of a file as they are stored, and its metadata.

    The header is checked against the file's length before anything is allocated.

    Raises:
        InputError: no such file, not a weight file of ours, truncated or damaged.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path} is not a bitbrush weight file ({FORMAT})")
            arrays: dict[str, Tensor] = {}
            for name in file.keys():  # noqa: SIM118 - not a mapping
                dtype = file.get_slice(name).get_dtype()
                if dtype not in ("F16", "F32", "U8"):
                    raise InputError(f"{path} is damaged: {name} is stored as {dtype}")
                arrays[name] = file.get_tensor(name)
        with path.open("rb") as content:
            content.seek(8 + int.from_bytes(content.read(8), "little"))
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if metadata.get("content-sha256") != digest:
            raise InputError(f"{path} is damaged: its content is not what was written")
    except SafetensorError as error:
        raise InputError(f"{path} is no weight file, or damaged: {_one_line(error)}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return arrays, metadata


def read_metadata(path: Path | str) -> dict[str, str]:
    """The metadata of a weight file of ours, without its arrays; empty of any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            found = dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}
    return found if found.get("format") == FORMAT else {}


@torch.no_grad()
def load_into(network: Network, state: Mapping[str, Tensor]) -> None:
    """Gives a network the weights of a file; every one must be there and have its shape.

    A one-bit kernel becomes scale times sign, which its quantizer leaves as it is but for the
    rounding of a mean. In a layer that was settled before, it is kept to the last bit.

    Args:
        network: of the kind that the file was written from, latent or settled.
        state: arrays as `read_network_file` gives them. float16 becomes float32.
    Raises:
        InputError: missing, superfluous or misshapen arrays, or values that are not finite.
    """
    check_shapes(network, state)
    for name, value in state.items():
        if (value.dtype == torch.uint8) != name.endswith(".weight.bits"):
            raise InputError(f"the file is damaged: {name} is stored as {value.dtype}")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"the file is damaged: {name} holds values that are no finite numbers")
    packed = packed_layers(network)
    for name, target in _stored_state(network):
        if (layer := packed.get(name)) is None:
            target.copy_(state[name])
            continue
        signs = unpack_signs(state[f"{name}.bits"], tuple(target.shape))
        if (scales := scale_count(layer)) is not None:
            scale = state[f"{name}.scale"].float()
            signs *= scale.view(scales, *[1] * (target.dim() - 1))
        target.copy_(signs)
    for name, buffer in network.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.zero_()


def check_shapes(network: Network, state: Mapping[str, Tensor]) -> None:
    """Whether a file has the arrays that a network needs, and no others. Works on the meta device.

    Raises:
        InputError: missing, superfluous or misshapen arrays.
    """
    expected = expected_shapes(network)
    missing, extra = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or extra:
        what = f"lacks {min(missing)!r}" if missing else f"has {min(extra)!r}, which is no part"
        raise InputError(f"the file does not fit {network.name}: it {what}")
    for name, shape in expected.items():
        if tuple(state[name].shape) != shape:
            raise InputError(
                f"the file does not fit {network.name}: {name} is {list(state[name].shape)}, "
                f"not {list(shape)}"
            )


def expected_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array in a file of this network. Works on the meta device."""
    packed = packed_layers(network)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in _stored_state(network):
        if (layer := packed.get(name)) is None:
            shapes[name] = tuple(value.shape)
            continue
        shapes[f"{name}.bits"] = (-(-value.numel() // 8),)
        if (scales := scale_count(layer)) is not None:
            shapes[f"{name}.scale"] = (scales,)
    return shapes


def quantized_layers(network: Network) -> dict[str, QuantConv2d | QuantLinear]:
    """The layers that may quantize their kernel, by the name of their weight."""
    return {
        f"{name}.weight": module
        for name, module in network.named_modules()
        if isinstance(module, QUANTIZED_LAYERS)
    }


def packed_layers(network: Network) -> dict[str, QuantConv2d | QuantLinear]:
    """Those whose kernel is a sign or a scaled sign, by the name of their weight."""
    return {
        name: layer
        for name, layer in quantized_layers(network).items()
        if isinstance(layer.kernel_quantizer, Sign | MagnitudeAwareSign | XnorScale)
    }


def scale_count(layer: QuantConv2d | QuantLinear) -> int | None:
    """How many magnitudes the layer's kernel quantizer has: None without a scale."""
    quantizer = layer.kernel_quantizer
    if isinstance(quantizer, Sign):
        return None
    per_filter = not isinstance(quantizer, MagnitudeAwareSign) or quantizer.per_filter
    return layer.weight.shape[0] if per_filter else 1


def pack_signs(weight: Tensor) -> Tensor:
    """uint8 [ceil(n / 8)] with one bit for each of the n weights: 1 where w >= 0."""
    return torch.from_numpy(np.packbits(weight.flatten().numpy() >= 0, bitorder="little"))


def unpack_signs(packed: Tensor, shape: tuple[int, ...]) -> Tensor:
    """-1 and +1 as float32 of that shape, from what `pack_signs` gave."""
    bits = np.unpackbits(packed.numpy(), count=math.prod(shape), bitorder="little")
    return torch.from_numpy(bits).view(shape).float().mul_(2).sub_(1)


def _stored_state(network: Network) -> Iterator[tuple[str, Tensor]]:
    """The state dict without batch norm's counters, which only training reads."""
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            yield name, value


def _with_metadata(file: bytes, metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with metadata in sorted order, and the SHA-256 of what follows the header.

    safetensors writes metadata in an order that differs from call to call; the same network is to
    give the same bytes, since paintings name their weights by hash.
    """
    (length,) = struct.unpack_from("<Q", file)
    digest = hashlib.sha256(memoryview(file)[8 + length :]).hexdigest()
    text_items = sorted((dict(metadata) | {"content-sha256": digest}).items())
    header = {"__metadata__": dict(text_items)} | json.loads(file[8 : 8 + length])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + file[8 + length :]


def _fits_half(value: Tensor) -> bool:
    size = value.abs()
    # A few tiny weights may round to nothing, but not an array that is tiny as a whole.
    return bool(size.max() <= HALF_MAX) and bool(size.max() >= HALF_MIN_NORMAL)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
