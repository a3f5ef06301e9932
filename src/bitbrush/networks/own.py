"""A torch module of one's own as a network: its submodules' results become taps."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, unknown_name
from .registry import NETWORKS
from .taps import IMAGENET_MEAN, IMAGENET_STD, Network, Tap

PROBE = 224
"""Side in pixels of the picture by which strides are measured."""


class _EnoughError(Exception):
    """Raised out of a module when all that was asked for is there."""


class OwnNetwork(Network):
    """A module whose forward takes a picture; made by `from_module`.

    Its forward is not ours to write as a walk, so here, and nowhere else, hooks catch the taps.
    They are there during a call only, and the deepest tap that is asked for ends it. Several Python
    threads may call at once: each has hooks of its own.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        paths: Mapping[str, str],
        taps: Mapping[str, Tap],
        **options: Any,
    ) -> None:
        super().__init__(name, taps, **options)
        self.module = module
        self.paths = dict(paths)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        found = _run(self.module, x, {tap: self.paths[tap] for tap in wanted})
        for tap in self.taps:
            if tap in found:
                yield tap, found[tap]


def from_module(
    module: nn.Module,
    taps: Mapping[str, str] | Iterable[str],
    *,
    name: str = "own",
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
    smallest: int = 32,
    multiple: int = 1,
) -> Network:
    """A network to paint with, from any torch module that takes pictures [N, 3, H, W].

    The module becomes the network's: it is put into evaluation mode and its parameters are frozen.
    How much smaller than the picture each tap is, is measured with one of 224 px.

    Args:
        taps: for each tap its submodule's path, as in `module.named_modules()`; or the paths alone,
            which then are the names, with "_" for ".". Their results must be maps [N, C, H, W].
        name: none of those that bitbrush's own networks have.
        mean, std: of RGB in [0, 1]; the picture enters as (image - mean) / std.
        smallest: shortest side in pixels of a picture that the module takes.
        multiple: height and width are padded up to multiples of this many pixels.
    Raises:
        InputError: a name that is taken, no such submodule, one that the module does not use or
            uses twice, or one whose result is no map, or is overwritten by what follows; a module
            that takes no float32 picture.
    """
    if name in NETWORKS:
        raise InputError(f"{name} is the name of one of bitbrush's own networks; take another")
    if isinstance(taps, str):
        raise InputError(f"taps are a list or a mapping, not the text {taps!r}")
    paths = dict(taps) if isinstance(taps, Mapping) else {p.replace(".", "_"): p for p in taps}
    if not paths:
        raise InputError("name at least one submodule to take features from")
    known = dict(module.named_modules())
    for path in paths.values():
        if path not in known or not path:
            raise unknown_name("submodule", path, [each for each in known if each])
    for tap in paths:
        if not tap or set(tap) & set(":, "):
            raise InputError(f"{tap!r} cannot name a tap: no colons, commas or spaces")
    module = module.eval().requires_grad_(False)
    side = -(-PROBE // multiple) * multiple
    reference = next(module.parameters(), torch.zeros(()))
    # As pictures come.
    picture = torch.zeros(1, 3, side, side, device=reference.device)
    try:
        with torch.no_grad():
            found = _run(module, picture, paths, whole=True)
    except RuntimeError as error:
        other = _other_dtype(module)
        if other is None:
            raise
        raise InputError(
            f"the module holds {other}, and pictures are float32; make it float32: module.float()"
        ) from error
    missing = [tap for tap in paths if tap not in found]
    if missing:
        raise InputError(f"{paths[missing[0]]} is not used when the module sees a picture")
    measured = {
        tap: Tap(stride=max(1, round(side / value.shape[2])), smallest=smallest)
        for tap, value in found.items()
    }
    network = OwnNetwork(name, module, paths, measured, mean=mean, std=std, multiple=multiple)
    network.to(reference.device)
    return network.settle()


def _other_dtype(module: nn.Module) -> str | None:
    """The first float type in a module that is not float32, or None."""
    for value in chain(module.parameters(), module.buffers()):
        if value.is_floating_point() and value.dtype != torch.float32:
            return str(value.dtype).removeprefix("torch.")
    return None


def _run(
    module: nn.Module, x: Tensor, paths: Mapping[str, str], whole: bool = False
) -> dict[str, Tensor]:
    """The results of submodules by tap, in the order of their computing.

    Args:
        whole: to the module's end, to see what uses a submodule twice.
    """
    found: dict[str, Tensor] = {}
    versions: dict[str, int] = {}
    ours = threading.get_ident()

    def keep(tap: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            # The module may be running on other threads too, whose maps are not for us.
            if threading.get_ident() != ours:
                return
            path = paths[tap]
            if not isinstance(output, Tensor) or output.dim() != 4:
                raise InputError(f"{path} gives no map [N, C, H, W], which a tap has to be")
            if tap in found:
                raise InputError(f"{path} is used twice; a tap is one map")
            found[tap], versions[tap] = output, output._version
            if len(found) == len(paths) and not whole:
                raise _EnoughError

        return hook

    handles = [
        module.get_submodule(path).register_forward_hook(keep(tap)) for tap, path in paths.items()
    ]
    try:
        module(x)
    except _EnoughError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    for tap, value in found.items():
        if value._version != versions[tap]:
            raise InputError(
                f"what {paths[tap]} gives is overwritten by what follows (inplace=True); "
                "take the submodule that overwrites it"
            )
    return found
