"""How each layer of a network runs once it is frozen, read off what has taken its place."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ..layers import QUANTIZED_LAYERS, QuantConv2d
from ..quantizers import DoReFa, MagnitudeAwareSign, Sign, XnorScale
from .modules import PackedGated, PackedResidual, PackedShortcut, PackedStage

PLAIN = "float32"


def ways(network: nn.Module, frozen: nn.Module) -> dict[str, str]:
    """How the layers of a network run in the frozen one, for people to read.

    Args:
        network: before it was frozen.
        frozen: what `freeze` has made of it.
    Returns:
        for each layer that has weights its path in the network, and a text that begins with
        "packed: ", "float32" or, for what another layer does along, "part of ".
    """
    found: dict[str, str] = {}
    _add(found, "", network, frozen)
    return found


def why_not(layer: nn.Module) -> str | None:
    """Why a quantized layer cannot run on packed bits, or None if it can."""
    assert isinstance(layer, QUANTIZED_LAYERS)
    if not isinstance(layer.kernel_quantizer, Sign | MagnitudeAwareSign | XnorScale):
        return "its weights are not one-bit"
    if not isinstance(layer.input_quantizer, Sign | DoReFa):
        return "its input is not quantized to bit planes"
    border = layer.pad_value if isinstance(layer, QuantConv2d) else 0.0
    if border < 0 and isinstance(layer.input_quantizer, DoReFa):
        return "its border of -1 is none of its input's levels"
    if isinstance(layer, QuantConv2d) and layer.dilation > 1 and not _keeps_size(layer):
        return "its kernel is dilated, and it does not keep the map's size"
    return None


def _keeps_size(layer: QuantConv2d) -> bool:
    return layer.stride == 1 and layer.padding == "same" and layer.kernel_size % 2 == 1


def _add(found: dict[str, str], path: str, module: nn.Module, replaced: nn.Module) -> None:
    if isinstance(replaced, PackedStage):
        for (name, block), packed in zip(module.named_children(), replaced.blocks, strict=True):
            _add_whole(found, _join(path, name), block, f"{_how(packed)} + residual")
    elif isinstance(replaced, PackedResidual):
        (packed,) = replaced.stage.blocks
        _add_whole(found, path, module, f"{_how(packed)} + residual")
    elif isinstance(replaced, PackedGated | PackedShortcut):
        beside = "gate" if isinstance(replaced, PackedGated) else "shortcut"
        for name, part in module.named_children():
            if name == beside:
                _add(found, _join(path, name), part, getattr(replaced, beside))
        kept = dict(found)
        _add_whole(found, path, module, replaced.how)
        found |= kept
    elif (how := _how(replaced)) is not None:
        _add_whole(found, path, module, how)
    elif isinstance(replaced, nn.Identity) and _is_layer(module):
        found[path] = f"part of {_before(found)}"
    elif _is_layer(module):
        found[path] = _unchanged(module)
    else:
        others = dict(replaced.named_children())
        for name, part in module.named_children():
            _add(found, _join(path, name), part, others[name])


def _add_whole(found: dict[str, str], path: str, module: nn.Module, how: str | None) -> None:
    """Layers that run as one; a quantized one gives its name to it, if there is one."""
    layers = list(_layers(path, module))
    names = [name for name, layer in layers if isinstance(layer, QUANTIZED_LAYERS)]
    main = names[0] if names else layers[0][0]
    for name, _ in layers:
        found[name] = str(how) if name == main else f"part of {main}"


def _unchanged(layer: nn.Module) -> str:
    # Here, because it is freeze that asks for ways.
    if not isinstance(layer, QUANTIZED_LAYERS):
        return PLAIN
    return f"{PLAIN}: {why_not(layer)}"


def _layers(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, part in module.named_modules(prefix=path):
        if _is_layer(part):
            yield name, part


def _is_layer(module: nn.Module) -> bool:
    """Whether it has weights of its own; those that only hold others have none."""
    if next(module.children(), None) is not None and not isinstance(module, QUANTIZED_LAYERS):
        return False
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return len(own) > 0


def _how(module: nn.Module) -> str | None:
    how = getattr(module, "how", None)
    return how if isinstance(how, str) else None


def _before(found: dict[str, str]) -> str:
    """The last layer that was done by itself."""
    return [name for name, how in found.items() if not how.startswith("part of ")][-1]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
