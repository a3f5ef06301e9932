"""How a network hands out named features."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError, unknown_name
from ..layers import QUANTIZED_LAYERS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Tap:
    """Where in a network features are taken.

    Attributes:
        stride: pixels of the picture for one of the tap, along each axis; 0 for logits.
        smallest: the shortest side in pixels of a picture that reaches this tap.
        size: the only height and width in pixels that this tap exists at, or None.
        reach: pixels beyond its own (row or column times stride), in every direction, that a
            position may depend on; None where that is the whole picture or not known.
    """

    stride: int
    smallest: int = 32
    size: int | None = None
    reach: int | None = None


class Network(nn.Module):
    """A network whose real-valued features are handed out by name.

    A family implements `walk`, which yields (tap name, value) in the order of `taps`, for a
    picture that has been normalised and padded. It is a generator, so nothing beyond the deepest
    tap asked for is computed.

    Attributes:
        name: its name in the registry.
        taps: every tap by name, from the picture to the deepest.
        engine: "float", or "packed" where one-bit layers run on packed bits.
        precision: what the gradient to the image is computed in.
        normalises: whether `walk` takes a picture that is normalised, or does that itself.
        keeps_taps: whether the way back may need the maps of taps as they were.
        how: for each layer of the packed engine, by its path in the float network, how it runs.
    """

    engine = "float"
    precision = "float32"
    normalises = True
    keeps_taps = True
    how: Mapping[str, str] = MappingProxyType({})
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        taps: Mapping[str, Tap],
        *,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        multiple: int = 1,
    ) -> None:
        """Args:
        mean, std: of RGB in [0, 1]; the picture enters as (image - mean) / std.
        multiple: height and width are padded up to multiples of this many pixels, by
            repeating the last row and column, and taps cropped to ceil(size / stride).
        """
        super().__init__()
        self.name = name
        self.taps = dict(taps)
        self.multiple = multiple
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Yields taps' names and values, for the normalised picture [N, 3, H, W].

        Args:
            wanted: taps that must be among them; of no other map anything need be kept.
        """
        raise NotImplementedError

    def forward(self, image: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """The values of the taps, in the network's order.

        Args:
            image: RGB [N, 3, H, W] in [0, 1], float.
            taps: names, at least one.
        Returns:
            for each name its map [N, C, H', W'], or logits [N, classes].
        Raises:
            InputError: an unknown tap, a picture that is too small for one, or of another shape.
        """
        wanted = set(taps)
        self.check(image, wanted)
        x = self.padded(image)
        height, width = image.shape[-2:]
        x = (x - self.mean) / self.std if self.normalises else x
        found: dict[str, Tensor] = {}
        for name, value in self.walk(x, wanted):
            if name in wanted:
                found[name] = self.cropped(value, name, height, width)
                if len(found) == len(wanted):
                    break
        return found

    def padded(self, image: Tensor) -> Tensor:
        """The picture with its last row and column repeated up to `multiple`."""
        right, bottom = -image.shape[-1] % self.multiple, -image.shape[-2] % self.multiple
        if right or bottom:
            return functional.pad(image, (0, right, 0, bottom), mode="replicate")
        return image

    def cropped(self, value: Tensor, name: str, height: int, width: int) -> Tensor:
        """A tap's map without what the padding of a picture of this size has added to it."""
        stride = self.taps[name].stride
        if stride and (height % self.multiple or width % self.multiple):
            return value[..., : -(-height // stride), : -(-width // stride)]
        return value

    def check(self, image: Tensor, wanted: Iterable[str]) -> None:
        """Raises the InputError that `forward` would raise for this picture and these taps."""
        wanted = set(wanted)
        if image.dim() != 4 or image.shape[1] != 3:
            raise InputError(f"a network takes RGB [N, 3, H, W], not {list(image.shape)}")
        if not wanted:
            raise InputError("ask for at least one tap")
        height, width = image.shape[-2:]
        for name in sorted(wanted):
            if name not in self.taps:
                raise unknown_name(f"tap of {self.name}", name, self.taps)
            tap = self.taps[name]
            if tap.size is not None and (height, width) != (tap.size, tap.size):
                raise InputError(
                    f"{name} of {self.name} exists at {tap.size}x{tap.size} px only, "
                    f"not at {width}x{height}"
                )
            if min(height, width) < tap.smallest:
                raise InputError(
                    f"a picture of {width}x{height} px is too small for {name} of {self.name}: "
                    f"the smallest is {tap.smallest} px"
                )

    def settle(self) -> Network:
        """Makes the network ready for use: evaluation mode, weights quantized once and frozen."""
        for module in self.modules():
            if isinstance(module, QUANTIZED_LAYERS):
                module.settle()
        self.requires_grad_(False)
        return self.eval()

    def constrain(self) -> None:
        """Clips the latent weights of every quantized layer; call after each training step."""
        for module in self.modules():
            if isinstance(module, QUANTIZED_LAYERS):
                module.constrain()


def check_state(
    state: Mapping[str, Tensor], network: Network, names: Mapping[str, str] | None = None
) -> None:
    """Whether these are exactly the network's parameters and statistics, so that they will load.

    The step counters of batch norms may be left out: they have no part in a prediction.

    Args:
        state: a state dict.
        names: what the user's file calls a parameter, where it does not use the network's name.
    Raises:
        InputError: an array is missing, left over, of another shape, or holds no floats; the first
            such array is named.
    """
    names = names or {}
    wanted = {
        key: value
        for key, value in network.state_dict().items()
        if key in state or not key.endswith(".num_batches_tracked")
    }
    problems = [f"{names.get(key, key)} is missing" for key in wanted if key not in state]
    problems += [f"{key} is no part of it" for key in state if key not in wanted]
    for key in (key for key in wanted if key in state):
        name, value, target = names.get(key, key), state[key], wanted[key]
        if value.shape != target.shape:
            problems.append(f"{name} has shape {list(value.shape)}, not {list(target.shape)}")
        elif value.is_floating_point() != target.is_floating_point():
            problems.append(f"{name} holds {value.dtype}, not {target.dtype}")
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"these weights are not for {network.name}: {problems[0]}{more}")


def renamed(
    arrays: Mapping[str, Tensor], layers: Mapping[str, str], network: Network
) -> dict[str, Tensor]:
    """Another project's state dict as the network's own.

    Args:
        arrays: by the other project's names, "layer.parameter"; any float type.
        layers: for each of its layers the network's name.
    Returns:
        the same in float32, by the network's names, checked.
    Raises:
        InputError: as `check_state`, with the other project's names.
    """
    theirs = {ours: layer for layer, ours in layers.items()}
    names = {}
    for key in network.state_dict():
        layer, _, parameter = key.rpartition(".")
        names[key] = f"{theirs.get(layer, layer)}.{parameter}"
    ours = {name: key for key, name in names.items()}
    state = {ours.get(name, name): value for name, value in arrays.items()}
    check_state(state, network, names)
    return {key: value.to(torch.float32) for key, value in state.items()}
