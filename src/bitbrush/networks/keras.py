"""What networks that were published as Keras weight files share: how their layers become ours."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import InputError

KerasLayers = Sequence[tuple[str, Mapping[str, NDArray[Any]]]]
"""(layer name, weights by their short name such as "kernel:0"), in the order of the model."""

Norm = TypeVar("Norm", nn.BatchNorm1d, nn.BatchNorm2d)


def unscaled(norm: Norm) -> Norm:
    """The batch norm with its scale held at 1 (Keras' scale=False)."""
    norm.weight.requires_grad_(False)
    return norm


def by_creation(layers: KerasLayers) -> KerasLayers:
    """The layers in the order in which they were made, by the numbers in Keras' own names.

    Raises:
        InputError: two layers of one name and number.
    """
    numbers = [re.fullmatch(r"(.*?)(?:_(\d{1,6}))?", name, re.DOTALL) for name, _ in layers]
    keys = [(match[1], int(match[2] or 0)) for match in numbers if match is not None]
    for key, (name, _) in zip(keys, layers, strict=True):
        if keys.count(key) > 1:
            raise InputError(f"two layers are called {name[:60]}; only numbers tell them apart")
    order = sorted(range(len(layers)), key=lambda index: keys[index][1])
    return [layers[index] for index in order]


class KerasAssembler:
    """Hands out the layers of a Keras file, kind by kind, as parameters of a network.

    Keras orders layers by their depth in the graph, so where branches run side by side only the
    order among layers of the same kind is certain; each kind therefore has a queue of its own.
    Layers are told apart by the weights they hold, not by Keras' own names, whose numbers depend on
    what else was built in the same process. Networks whose authors named every layer use `named`.

    Axes: convolutions H,W,I,O to O,I,H,W; depthwise H,W,C,M to C*M,1,H,W; dense I,O to O,I.

    Args:
        layers: of the file, in its order.
        network: whose parameters they become; its shapes are what is checked.
    Raises:
        InputError (from every method): a missing or superfluous layer, or one of another shape.
    """

    def __init__(self, layers: KerasLayers, network: nn.Module) -> None:
        self._expected = {key: value.shape for key, value in network.state_dict().items()}
        self._queues: dict[str, deque[tuple[str, dict[str, NDArray[Any]]]]] = {
            kind: deque() for kind in ("conv", "depthwise", "dense", "norm", "prelu")
        }
        for name, weights in layers:
            short = {key.split(":")[0]: value for key, value in weights.items()}
            self._queues[_kind(name, short)].append((name, short))
        self._state: dict[str, Tensor] = {}

    def conv(self, target: str) -> None:
        """The next convolution becomes the module `target`."""
        layer, weights = self._next("conv", target)
        self._put(layer, f"{target}.weight", weights["kernel"].transpose(3, 2, 0, 1))
        self._put_bias(layer, target, weights)

    def depthwise(self, target: str) -> None:
        """The next depthwise convolution becomes the module `target`."""
        layer, weights = self._next("depthwise", target)
        kernel = weights["depthwise_kernel"].transpose(2, 3, 0, 1)
        self._put(layer, f"{target}.weight", kernel.reshape(-1, 1, *kernel.shape[2:]))
        self._put_bias(layer, target, weights)

    def dense(self, target: str, flattened: tuple[int, int, int] | None = None) -> None:
        """The next dense layer becomes the module `target`.

        Args:
            flattened: C, H, W of the map that is flattened before it: Keras flattens H,W,C.
        """
        layer, weights = self._next("dense", target)
        kernel = weights["kernel"]
        if flattened is not None:
            channels, height, width = flattened
            if kernel.shape[0] != channels * height * width:
                raise InputError(
                    f"layer {layer} takes {kernel.shape[0]} values, but {target} "
                    f"{channels * height * width}; is it another network's file?"
                )
            grid = kernel.reshape(height, width, channels, -1)
            kernel = grid.transpose(2, 0, 1, 3).reshape(kernel.shape)
        self._put(layer, f"{target}.weight", kernel.T)
        self._put_bias(layer, target, weights)

    def dense_as_conv(self, target: str) -> None:
        """The next dense layer becomes the convolution `target`, whose kernel covers the whole map.

        Whether the file holds it as a dense layer or as a 1x1 convolution of the flattened map.
        """
        kind = "conv" if self._queues["conv"] else "dense"
        layer, weights = self._next(kind, target)
        channels_out, channels, height, width = self._expected[f"{target}.weight"]
        kernel = weights["kernel"]
        if kernel.size != channels_out * channels * height * width:
            raise InputError(
                f"layer {layer} has shape {list(kernel.shape)}, which does not cover {target}'s "
                f"{height}x{width} map of {channels} channels; is it another network's file?"
            )
        kernel = kernel.reshape(height, width, channels, channels_out)
        self._put(layer, f"{target}.weight", kernel.transpose(3, 2, 0, 1))
        self._put_bias(layer, target, weights)

    def norm(self, target: str) -> None:
        """The next batch norm becomes the module `target`."""
        self._put_norm(target, *self._next("norm", target))

    def norm_pair(self, first: str, second: str) -> None:
        """The next two batch norms, which stand side by side in the graph.

        Args:
            first: the module that the one created first becomes: the lower number in its name.
                Their order in the file depends on what else is in the branches, and their
                shapes are equal, so nothing but the number tells them apart.
            second: the module that the other becomes.
        """
        pair = sorted((self._next("norm", first), self._next("norm", second)), key=_number)
        self._put_norm(first, *pair[0])
        self._put_norm(second, *pair[1])

    def named(self, target: str, *layers: str) -> None:
        """The layer of that name becomes the module `target`, whatever its kind.

        Args:
            layers: one name; for a grouped convolution, one for each group.
        """
        kinds, found = zip(*(self._take(name, target) for name in layers), strict=True)
        name, weights = layers[0], found[0]
        if len(layers) > 1:
            kernels = [np.asarray(each.get("kernel", np.zeros(()))) for each in found]
            if set(kinds) != {"conv"} or len({kernel.shape for kernel in kernels}) > 1:
                raise InputError(f"layer {name} is no group like its neighbours'")
            weights = {**weights, "kernel": np.concatenate(kernels, axis=-1)}
        put = {
            "conv": self.conv,
            "dense": self.dense,
            "norm": self.norm,
            "prelu": self.prelu,
            "depthwise": self.depthwise,
        }[kinds[0]]
        self._queues[kinds[0]].appendleft((name, weights))
        put(target)

    def prelu(self, target: str) -> None:
        """The next PReLU, one slope for each channel, becomes the module `target`."""
        layer, weights = self._next("prelu", target)
        self._put(layer, f"{target}.weight", weights["alpha"].reshape(-1))

    def finish(self) -> dict[str, Tensor]:
        """The state dict, float32, for `network.load_state_dict`."""
        left = [name for queue in self._queues.values() for name, _ in queue]
        if left:
            raise InputError(
                f"the file has more layers than the network, among them {left[0]}; "
                "is it another network's file?"
            )
        return self._state

    def _next(self, kind: str, target: str) -> tuple[str, dict[str, NDArray[Any]]]:
        if not self._queues[kind]:
            raise InputError(
                f"the file ends before {target}; if it is a 'notop' file, which has no classifier, "
                "take the one without 'notop' in its name"
            )
        return self._queues[kind].popleft()

    def _take(self, layer: str, target: str) -> tuple[str, dict[str, NDArray[Any]]]:
        """Kind and weights of the layer of that name, which is no longer in its queue."""
        for kind, queue in self._queues.items():
            for index, (name, weights) in enumerate(queue):
                if name == layer:
                    del queue[index]
                    return kind, weights
        raise InputError(
            f"the file has no layer {layer}, which {target} comes from; if it is a 'notop' file, "
            "which has no classifier, take the one without 'notop' in its name"
        )

    def _put_norm(self, target: str, layer: str, weights: Mapping[str, NDArray[Any]]) -> None:
        mean = weights["moving_mean"]
        self._put(layer, f"{target}.running_mean", mean)
        self._put(layer, f"{target}.running_var", weights["moving_variance"])
        if f"{target}.weight" in self._expected:
            self._put(layer, f"{target}.weight", weights.get("gamma", np.ones_like(mean)))
            self._put(layer, f"{target}.bias", weights.get("beta", np.zeros_like(mean)))
        elif "gamma" in weights or "beta" in weights:
            raise InputError(f"layer {layer} has a scale or shift, but {target} has none")
        self._state[f"{target}.num_batches_tracked"] = torch.tensor(0)

    def _put_bias(self, layer: str, target: str, weights: Mapping[str, NDArray[Any]]) -> None:
        if ("bias" in weights) != (f"{target}.bias" in self._expected):
            has = "has a" if "bias" in weights else "has no"
            raise InputError(f"layer {layer} {has} bias, unlike {target}; another network's file?")
        if "bias" in weights:
            self._put(layer, f"{target}.bias", weights["bias"])

    def _put(self, layer: str, key: str, array: NDArray[Any]) -> None:
        expected = self._expected.get(key, ())
        if array.shape != tuple(expected):
            raise InputError(
                f"layer {layer} has shape {list(array.shape)} where {key} has {list(expected)}; "
                "is it another network's file?"
            )
        value = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(value).all():
            raise InputError(f"layer {layer} holds values that are no numbers")
        self._state[key] = torch.from_numpy(value.copy())


def _kind(name: str, weights: Mapping[str, NDArray[Any]]) -> str:
    if weights.keys() >= {"moving_mean", "moving_variance"}:
        return "norm"
    if "depthwise_kernel" in weights and weights["depthwise_kernel"].ndim == 4:
        return "depthwise"
    if "alpha" in weights and weights["alpha"].ndim == 3:
        return "prelu"
    dims = weights["kernel"].ndim if "kernel" in weights else 0
    if dims in (2, 4):
        return "dense" if dims == 2 else "conv"
    held = ", ".join(weights)[:60]
    raise InputError(f"layer {name[:60]} is of a kind that no network here has: {held}")


def _number(layer: tuple[str, Mapping[str, NDArray[Any]]]) -> int:
    """The number in "batch_normalization_12"; 0 in "batch_normalization"."""
    match = re.fullmatch(r"batch_normalization(?:_(\d{1,6}))?", layer[0])
    if match is None:
        raise InputError(
            f"layer {layer[0]} is one of two batch norms that only Keras' own numbered names "
            "tell apart, and its name has no number"
        )
    return int(match[1] or 0)
