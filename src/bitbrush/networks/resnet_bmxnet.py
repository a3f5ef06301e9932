"""BMXNet's two ImageNet ResNet-18: all four stages one-bit, or the first one float.

Pre-activation units: batch norm, then convolve, twice, and add to what came in. The shortcuts that
change width are one-bit 1x1 convolutions, so no float path leads through a stage.

Taps. A unit's batch norm comes before its first convolution, so the map that a block hands to its
follower is only ready after the follower's batch norm; that map is the block's tap:
- stem: the first unit's batch norm of the pooled stem, at a quarter of the picture's size;
- stageX.blockY: the next unit's batch norm of the sum that the block gives, even across stages, so
  stage1.block2 is at stride 4 and is what stage 2 binarises;
- stage4.block2: the last batch norm, before its relu. The bare sum is a popcount of up to 4608 with
  a large mean, which would drown every statistic of it;
- where the follower is a float unit (stem and stage1.block1 of resnet18-bmxnet-fp1): the same
  batch norm after its relu, which is what the follower convolves.

Source: Yang et al. 2017, "BMXNet"; layout from the symbol files beside the published weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Pool2d, PoolKind, QuantConv2d
from ..quantizers import Estimator, Sign
from .taps import Network, Tap, check_state

EPSILON = 2e-5
WIDTHS = (64, 128, 256, 512)
UNITS = 2
# Of RGB in 0..255, with no division by a deviation: the first batch norm sees to that.
MEAN = (123.68, 116.779, 103.939)


class PopcountConv2d(nn.Module):
    """A one-bit convolution that gives the number of agreeing signs, (K + dot) / 2 in 0..K.

    The batch norms behind it were trained on that scale. The border is +1, since BMXNet pads with
    zeros first and binarises zero to +1.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.terms = channels_in * kernel * kernel
        self.conv = QuantConv2d(
            channels_in,
            channels_out,
            kernel,
            stride,
            kernel // 2,
            input_quantizer=Sign(Estimator("ste", 1.0)),
            kernel_quantizer=Sign(Estimator("ste", 1.0)),
            pad_value=1.0,
            clip=1.0,
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C_in, H, W], real-valued; returns [N, C_out, ceil(H / s), ceil(W / s)]."""
        result: Tensor = (self.conv(x) + self.terms) / 2
        return result


class Unit(nn.Module):
    """A pre-activation residual unit of two 3x3 convolutions.

    Args:
        binary: one-bit convolutions, or float ones with relu after each batch norm.
        shortcut: a 1x1 convolution of the activation, or the incoming sum itself.
    """

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, *, binary: bool, shortcut: bool
    ) -> None:
        super().__init__()

        def conv(before: int, kernel: int, step: int) -> nn.Module:
            if binary:
                return PopcountConv2d(before, channels_out, kernel, step)
            return Conv2d(before, channels_out, kernel, step, kernel // 2)

        self.binary = binary
        self.norm1 = nn.BatchNorm2d(channels_in, eps=EPSILON)
        self.conv1 = conv(channels_in, 3, stride)
        self.norm2 = nn.BatchNorm2d(channels_out, eps=EPSILON)
        self.conv2 = conv(channels_out, 3, 1)
        self.shortcut = conv(channels_in, 1, stride) if shortcut else None

    def enter(self, total: Tensor) -> Tensor:
        """What the first convolution takes: the incoming sum, normalised (and rectified)."""
        return self._activate(self.norm1(total))

    def forward(self, total: Tensor, entered: Tensor) -> Tensor:
        """The outgoing sum, from the incoming one and what `enter` made of it."""
        x = self.conv2(self._activate(self.norm2(self.conv1(entered))))
        result: Tensor = x + (total if self.shortcut is None else self.shortcut(entered))
        return result

    def _activate(self, x: Tensor) -> Tensor:
        return x if self.binary else functional.relu(x)


class ResNetBmxnet(Network):
    """The network; see the module's text.

    Args:
        float_stages: how many stages, from the first, are not binarised.
        widths: channels of each stage; the stem has those of the first.
        classes: of the classifier.
        pooling: of the stem's one pool.
    """

    def __init__(
        self,
        name: str,
        float_stages: int = 0,
        *,
        widths: tuple[int, ...] = WIDTHS,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        taps = {"stem": Tap(stride=4)}
        for stage in range(1, len(widths) + 1):
            for unit in range(1, UNITS + 1):
                taps[f"stage{stage}.block{unit}"] = Tap(stride=2 ** (stage + 1))
        taps["logits"] = Tap(stride=0)
        red, green, blue = (value / 255 for value in MEAN)
        super().__init__(name, taps, mean=(red, green, blue), std=(1 / 255, 1 / 255, 1 / 255))
        self.data_norm = nn.BatchNorm2d(3, eps=EPSILON)
        # MXNet's fix_gamma: the scale is 1, whatever a file holds for it.
        self.data_norm.weight.requires_grad_(False)
        self.stem = Conv2d(3, widths[0], 7, 2, 3)
        self.stem_norm = nn.BatchNorm2d(widths[0], eps=EPSILON)
        self.pool = Pool2d(3, 2, 1, pooling)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                Unit(
                    before if unit == 0 else width,
                    width,
                    2 if unit == 0 and stage > 0 else 1,
                    binary=stage >= float_stages,
                    shortcut=unit == 0,
                )
                for unit in range(UNITS)
            )
            for stage, (before, width) in enumerate(
                zip((widths[0], *widths[:-1]), widths, strict=True)
            )
        )
        self.norm = nn.BatchNorm2d(widths[-1], eps=EPSILON)
        self.classifier = nn.Linear(widths[-1], classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        stem = self.stem_norm(self.stem(self.data_norm(x)))
        total = self.pool(functional.relu(stem))
        tap = "stem"
        for index, stage in enumerate(self.stages, 1):
            for number, unit in enumerate(cast("Iterable[Unit]", stage), 1):
                entered = unit.enter(total)
                yield tap, entered
                total = unit(total, entered)
                tap = f"stage{index}.block{number}"
        x = self.norm(total)
        yield tap, x
        yield "logits", self.classifier(functional.relu(x).mean((2, 3)))


def resnet18(pooling: PoolKind = "max") -> ResNetBmxnet:
    """ResNet-18 with all four stages one-bit; stem and classifier are float."""
    return ResNetBmxnet("resnet18-bmxnet", pooling=pooling)


def resnet18_fp1(pooling: PoolKind = "max") -> ResNetBmxnet:
    """ResNet-18 whose first stage is float and whose other three are one-bit."""
    return ResNetBmxnet("resnet18-bmxnet-fp1", 1, pooling=pooling)


def from_mxnet(arrays: Mapping[str, npt.NDArray[Any]], network: Network) -> dict[str, Tensor]:
    """The arrays of a BMXNet `.params` file as this module's parameters.

    One-bit weights are unpacked to -1 and +1. A file has them as words of any width, in the flat
    order of [O, I, kh, kw], lowest bit first, a set bit for +1. The scale of the first batch norm
    becomes 1 (fix_gamma).

    Args:
        arrays: by their names in the file, "arg:…" and "aux:…".
        network: a ResNetBmxnet that they are for.
    Raises:
        InputError: an array is missing, has another size, or is left over.
    """
    names = _mxnet_names(network)
    parameters = {name: parameter for parameter, name in names.items()}
    wanted = network.state_dict()
    state = {}
    for name, array in arrays.items():
        parameter = parameters.get(name, name)
        shape = wanted[parameter].shape if parameter in wanted else None
        state[parameter] = _tensor(array, shape)
    check_state(state, network, names)
    state["data_norm.weight"] = torch.ones(3)
    return state


def _mxnet_names(network: Network) -> dict[str, str]:
    """For each parameter and statistic of the network its array's name in a file."""
    layers = {
        "data_norm": "bn_data",
        "stem": "conv0",
        "stem_norm": "bn0",
        "norm": "bn1",
        "classifier": "fc1",
    }
    parts = {"norm1": "bn1", "norm2": "bn2", "conv1": "conv1", "conv2": "conv2", "shortcut": "sc"}
    names = {}
    for key in network.state_dict():
        module, _, parameter = key.rpartition(".")
        if parameter == "num_batches_tracked":
            continue
        if module.startswith("stages."):
            _, stage, unit, part, *_ = module.split(".")
            node = f"stage{int(stage) + 1}_unit{int(unit) + 1}_{parts[part]}"
        else:
            part, node = module, layers[module]
        if "norm" in part:
            parameter = {
                "weight": "gamma",
                "bias": "beta",
                "running_mean": "moving_mean",
                "running_var": "moving_var",
            }[parameter]
        names[key] = f"{'aux' if parameter.startswith('moving') else 'arg'}:{node}_{parameter}"
    return names


def _tensor(array: npt.NDArray[Any], shape: torch.Size | None) -> Tensor:
    """Floats as float32; -1 and +1 of that shape where there is one bit for each value.

    Anything else is left as it is, for the check to name.
    """
    if shape is not None and array.nbytes * 8 == shape.numel():
        packed = np.frombuffer(array.tobytes(), np.uint8)
        bits = np.unpackbits(packed, bitorder="little").astype(np.float32)
        return torch.from_numpy(bits * 2 - 1).reshape(shape)
    return torch.from_numpy(array.astype(np.float32) if array.dtype.kind == "f" else array.copy())
