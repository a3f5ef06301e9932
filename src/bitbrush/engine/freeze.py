"""From a network with latent weights to one that runs on packed bits."""

from __future__ import annotations

import copy
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers import Padding, QuantConv2d, QuantLinear
from ..networks import birealnet, quickbrush, quicknet, quicknet_v1, resnet_bmxnet
from ..networks.sections import Stage
from ..networks.taps import Network
from ..quantizers import DoReFa, Estimator, Sign
from .fused import (
    BlurredPool2d,
    DepthwiseConv2d,
    Fused,
    Normalised,
    PictureConv2d,
    Pointwise,
    rows_of,
)
from .line import LineNetwork, Part
from .modules import (
    Affine,
    PackedConv2d,
    PackedDilated,
    PackedGated,
    PackedLinear,
    PackedResidual,
    PackedShortcut,
    PackedStage,
)
from .precision import Precision, resolve_precision
from .sizes import LANES
from .ways import ways, why_not


def freeze(network: Network, precision: str = "auto") -> Network:
    """A network with the same taps and the same numbers, whose one-bit layers are packed bits.

    The network that is given stays as it is; float layers are shared with it. Nothing but the
    gradient to the image can be had from the frozen one: it has no latent weights. From each call
    there is one way back; a second one may raise BitbrushError, even with `retain_graph`.

    Args:
        network: settled or not, on the CPU.
        precision: of that gradient, one of `PRECISIONS`.
    Raises:
        InputError: another precision.
    """
    chosen = resolve_precision(precision)
    with torch.no_grad():
        frozen = _rebuilt(network, chosen)
        assert isinstance(frozen, Network)
        how = ways(network, frozen)
        frozen = _as_line(frozen)
    frozen.engine, frozen.precision, frozen.how = "packed", chosen, how
    frozen.requires_grad_(False)
    return frozen.eval()


def _as_line(network: Network) -> Network:
    """A frozen network as a line of parts, where it is one whose parts are made for that."""
    if not isinstance(network, quickbrush.QuickBrush | quicknet_v1.QuickNetV1):
        return network
    parts, heads = [_float_part(network.stem, ("stem",))], {}
    for number, (transition, stage) in enumerate(
        zip(network.transitions, network.stages, strict=True), 1
    ):
        if not isinstance(transition, nn.Identity):
            parts.append(_float_part(transition))
        names = [f"stage{number}.block{block}" for block in range(1, len(stage) + 1)]  # type: ignore[arg-type]
        parts.append(Part(stage, tuple(names)) if isinstance(stage, PackedStage) else None)
    if isinstance(network, quicknet_v1.QuickNetV1):
        heads["logits"] = _Logits(network.head)
    whole = [part for part in parts if part is not None]
    return LineNetwork(network, whole, heads) if len(whole) == len(parts) else network


class _Logits(nn.Module):
    """What QuickNetV1 makes of its last map."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(functional.relu(x).mean((2, 3)))
        return logits


def _float_part(module: nn.Module, taps: tuple[str, ...] = ()) -> Part | None:
    """A part of a line, or None where the module gives something else than its steps do."""
    if not isinstance(module, Fused) or module.channels is not None:
        return None
    return Part(module.steps, taps)


def _rebuilt(module: nn.Module, precision: Precision) -> nn.Module:
    replaced = packed(module, precision)
    if replaced is not None:
        return replaced
    return _with_parts(module, precision)


def _with_parts(module: nn.Module, precision: Precision) -> nn.Module:
    """The module with its parts rebuilt."""
    clone = copy.copy(module)
    clone._modules = {
        name: None if child is None else _rebuilt(child, precision)
        for name, child in module._modules.items()
    }
    return clone


BLURRED = "float32: relu, pool and blur in one pass, norm folded into the 1x1 convolution"


@singledispatch
def packed(module: nn.Module, precision: Precision) -> nn.Module | None:
    """What takes the place of a module, or None: its parts are looked at."""
    return None


def affine_of(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Scale and offset [C] of a batch norm in evaluation mode, in float64."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    offset = -norm.running_mean.double() * scale
    if norm.bias is not None:
        offset = offset + norm.bias.double()
    return scale, offset


@packed.register(nn.BatchNorm1d)
@packed.register(nn.BatchNorm2d)
def _norm(module: nn.Module, precision: Precision) -> nn.Module:
    return Affine(*affine_of(module))


@packed.register
def _quickbrush(module: quickbrush.QuickBrush, precision: Precision) -> nn.Module:
    clone = _with_parts(module, precision)
    assert isinstance(clone, quickbrush.QuickBrush) and module.stem.bias is not None
    stem = PictureConv2d(
        module.stem.weight,
        module.stem.bias,
        *affine_of(module.stem_norm),
        stride=1,
        padding=1,
        replicate=True,
        mean=module.mean,
        std=module.std,
    )
    plain = nn.Sequential(
        Normalised(module.mean, module.std),
        module.stem,
        nn.ReLU(),
        Affine(*affine_of(module.stem_norm)),
    )
    how = "float32: relu and norm in one pass"
    more = len(stem.bias) > stem.channels
    clone.stem = Fused([stem], plain, how, stem.channels if more else None)  # type: ignore[assignment]
    clone.normalises = False
    clone.stem_relu = nn.Identity()  # type: ignore[assignment]
    clone.stem_norm = nn.Identity()  # type: ignore[assignment]
    return clone


@packed.register
def _brush_transition(module: quickbrush.Transition, precision: Precision) -> nn.Module | None:
    if module.conv.in_channels % LANES:
        return None
    blur = BlurredPool2d(rectified=module.rectified, pool=None, replicate=True)
    pointwise = Pointwise(*folded(module.conv.weight, module.norm), precision)
    return Fused([blur, pointwise], _with_parts(module, precision), BLURRED)


@packed.register
def _quicknet_transition(module: quicknet_v1.Transition, precision: Precision) -> nn.Module | None:
    row = torch.tensor([0.25, 0.5, 0.25])
    if module.pointwise.in_channels % LANES or not torch.allclose(
        module.blur.weight, torch.outer(row, row).expand_as(module.blur.weight)
    ):
        return None
    blur = BlurredPool2d(rectified=True, pool=module.pool.kind, replicate=False)
    pointwise = Pointwise(*folded(module.pointwise.weight, module.norm), precision)
    return Fused([blur, pointwise], _with_parts(module, precision), BLURRED)


@packed.register
def _quicknet(module: quicknet_v1.QuickNetV1, precision: Precision) -> nn.Module:
    clone = _with_parts(module, precision)
    assert isinstance(clone, quicknet_v1.QuickNetV1)
    clone.stem = _quicknet_stem(module.stem, module.mean, module.std, precision)  # type: ignore[assignment]
    clone.normalises = False
    return clone


def _quicknet_stem(
    module: quicknet_v1.Stem, mean: Tensor, std: Tensor, precision: Precision
) -> nn.Module:
    weight, bias = folded(module.conv.weight, module.norm)
    one, none = torch.ones_like(bias), torch.zeros_like(bias)
    picture = PictureConv2d(
        weight,
        bias,
        one,
        none,
        stride=2,
        padding="same",
        replicate=False,
        mean=mean,
        std=std,
    )
    weight, bias = folded(module.depthwise.weight, module.depthwise_norm)
    depthwise = DepthwiseConv2d(weight, bias, stride=2, padding="same")
    weight, bias = folded(module.pointwise.weight, module.pointwise_norm)
    pointwise = Pointwise(rows_of(weight[:, :, 0, 0])[:, :, None, None], bias, precision)
    plain = nn.Sequential(Normalised(mean, std), _with_parts(module, precision))
    steps = [picture, depthwise, pointwise]
    return Fused(steps, plain, "float32: norms folded into the layers")


def folded(weight: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight [O, …] and bias [O] of a convolution and the batch norm behind it."""
    scale, offset = affine_of(norm)
    shape = (-1,) + (1,) * (weight.dim() - 1)
    return (weight.double() * scale.view(shape)).float(), offset.float()


def _quantized(
    layer: QuantConv2d | QuantLinear,
    precision: Precision,
    after: tuple[Tensor, Tensor] | None = None,
    rectified: bool = False,
) -> PackedConv2d:
    """The packed form of a layer, with what follows it.

    Args:
        after: scale and offset [O] applied to its result (behind a relu where `rectified`).
    """
    weight = layer.kernel().detach()
    weight = weight if weight.dim() == 4 else weight[:, :, None, None]
    # Quantized weights of a filter differ in sign alone.
    scale = weight.abs().amax((1, 2, 3)).double()
    latent = layer.weight if layer.weight.dim() == 4 else layer.weight[:, :, None, None]
    quantizer = layer.input_quantizer
    levels = 2**quantizer.precision - 1 if isinstance(quantizer, DoReFa) else 0
    if levels:
        scale = scale / levels
    offset = torch.zeros_like(scale) if layer.bias is None else layer.bias.detach().double()
    if after is not None:
        scale, offset = scale * after[0], offset * after[0] + after[1]
    stride, pad_value = 1, 0.0
    padding: Padding = "valid"
    if isinstance(layer, QuantConv2d):
        stride, padding, pad_value = layer.stride, layer.padding, layer.pad_value
    return PackedConv2d(
        latent,
        scale,
        offset,
        stride=stride,
        padding=padding,
        pad_value=pad_value,
        estimator=quantizer.estimator if isinstance(quantizer, Sign) else Estimator(),
        precision=precision,
        planes=quantizer.precision if quantizer is not None else 1,
        levels=levels,
        rectified=rectified,
    )


@packed.register
def _convolution(module: QuantConv2d, precision: Precision) -> nn.Module | None:
    if why_not(module) is not None:
        return None
    convolution = _quantized(module, precision)
    return PackedDilated(convolution, module.dilation) if module.dilation > 1 else convolution


@packed.register
def _linear(module: QuantLinear, precision: Precision) -> nn.Module | None:
    return PackedLinear(_quantized(module, precision)) if why_not(module) is None else None


@packed.register
def _popcount(module: resnet_bmxnet.PopcountConv2d, precision: Precision) -> nn.Module:
    half = torch.full((module.conv.channels_out,), 0.5, dtype=torch.float64)
    return _quantized(module.conv, precision, (half, half * module.terms))


def _rectified(conv: QuantConv2d, norm: nn.Module, precision: Precision) -> PackedConv2d:
    """norm(relu(conv)), whose weights are -1 and +1."""
    return _quantized(conv, precision, affine_of(norm), rectified=True)


@packed.register
def _stage(module: Stage, precision: Precision) -> nn.Module | None:
    if not all(
        isinstance(block, quickbrush.Block | quicknet_v1.Block) and why_not(block.conv) is None
        for block in module
    ):
        return None
    return PackedStage([_rectified(b.conv, b.norm, precision) for b in module])  # type: ignore[arg-type]


@packed.register
def _conv_block(module: quicknet.ConvBlock, precision: Precision) -> nn.Module:
    gate = None if module.gate is None else _rebuilt(module.gate, precision)
    return PackedGated(_rectified(module.conv, module.norm, precision), gate)


@packed.register
def _residual(module: quicknet.Residual, precision: Precision) -> nn.Module | None:
    block = module.block
    if block.gate is not None:
        return None
    return PackedResidual(_rectified(block.conv, block.norm, precision))


@packed.register
def _shortcut_block(module: birealnet.Block, precision: Precision) -> nn.Module:
    shortcut = None if module.shortcut is None else _rebuilt(module.shortcut, precision)
    return PackedShortcut(_quantized(module.conv, precision, affine_of(module.norm)), shortcut)
