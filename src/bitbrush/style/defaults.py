"""What suits each network, where the settings leave it open."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InputError
from ..networks.registry import NETWORKS, network_spec
from .settings import PaintSettings, option_name

if TYPE_CHECKING:
    from ..networks.taps import Network


@dataclass(frozen=True)
class PaintDefaults:
    """Taps, how the network sees the picture, the estimator of its gradient, and the way there.

    Attributes:
        learning_rate: of Adam on pixels.
    """

    content_taps: str
    style_taps: str
    encode_scale: float = 1.0
    estimator: str = "trained"
    roll: int = 16
    orientations: int = 1
    noise: float = 0.0
    statistic: str = "covariance"
    learning_rate: float = 0.045
    average: float = 0.95


OTHER_RATES = {("adam", "fourier"): 0.008, ("lbfgs", "pixels"): 1.0, ("lbfgs", "fourier"): 0.5}
"""Step sizes by optimiser and canvas, where that is not Adam on pixels: the same for all."""

STEP_WINDOW = 3
"""Side in pixels of the blur of Adam's mean squares, on a canvas of pixels."""

_VGG = PaintDefaults("relu3_1", "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1")
# A stem of stride 4 sees fine strokes only if the picture is fed at twice its size.
_COARSE_STEM = PaintDefaults(
    "stage1.block2,stage2.block2",
    "stem,stage1.block2,stage2.block2,stage3.block2,stage4.block2",
    encode_scale=2.0,
    estimator="approx",
)
# Layers that append a few channels each: their maps change slowly.
_GROWING = PaintDefaults(
    "stage1.block4,stage2.block4",
    "stem,stage1.block4,stage2.block4,stage3.block4,stage4.block4",
    encode_scale=2.0,
    estimator="approx",
)
_ALEXNET = PaintDefaults(
    "stem,stage1.block1",
    "stem,stage1.block1,stage1.block2,stage1.block3,stage2.block1",
    encode_scale=2.0,
    estimator="approx",
)
_INCEPTION = PaintDefaults(
    "stage2.block2", "stem,stage1.block1,stage2.block2,stage3.block2,stage4.block2"
)
_QUICKBRUSH = PaintDefaults(
    "stage1.block2,stage2.block3",
    "stem,stage1.block2,stage2.block3,stage3.block2,stage4.block3",
    roll=4,
    orientations=4,
    statistic="wasserstein",
)
DEFAULTS: dict[str, PaintDefaults] = {
    "quickbrush": _QUICKBRUSH,
    "quickbrush-float": _QUICKBRUSH,
    "quickbrush-large": _QUICKBRUSH,
    "quickbrush-small": PaintDefaults(
        "stage1.block1,stage2.block3",
        "stem,stage1.block1,stage2.block3,stage3.block3,stage4.block3",
        roll=4,
        orientations=4,
        statistic="wasserstein",
    ),
    "quicknet": _COARSE_STEM,
    "quicknet-large": _COARSE_STEM,
    "quicknet-xl": _COARSE_STEM,
    "quicknet-v1-small": _COARSE_STEM,
    "quicknet-v1": _COARSE_STEM,
    "quicknet-v1-large": _COARSE_STEM,
    "resnet18-bmxnet": _COARSE_STEM,
    "resnet18-bmxnet-fp1": _COARSE_STEM,
    "xnornet": _ALEXNET,
    "dorefanet": PaintDefaults(
        "stem,stage1.block1",
        "stem,stage1.block1,stage2.block1,stage2.block2,stage3.block1",
        encode_scale=2.0,
        estimator="approx",
    ),
    "binary-alexnet": _ALEXNET,
    "birealnet": _COARSE_STEM,
    "resnet-e18": _COARSE_STEM,
    "binary-densenet28": _GROWING,
    "binary-densenet37": _GROWING,
    "binary-densenet37-dilated": _GROWING,
    "binary-densenet45": _GROWING,
    "realtobinary": _COARSE_STEM,
    "meliusnet22": _GROWING,
    "vgg16": _VGG,
    "vgg19": _VGG,
    "vgg19-16x": PaintDefaults(
        "relu3_1",
        "relu1_1:2.7,relu2_1:2.2,relu3_1:1.3,relu4_1:0.6,relu5_1:0.2",
        orientations=4,
        average=0.99,
    ),
    "vgg19-normalised": PaintDefaults("relu3_1", "relu1_1,relu1_2,relu2_1,relu2_2,relu3_1"),
    "squeezenet": PaintDefaults(
        "stage1.block2,stage2.block2",
        "stem:4.1,stage1.block2:1.9,stage2.block2:1.5,stage3.block2:0.53,stage3.block4:0.16",
        roll=0,
        orientations=4,
        learning_rate=0.03,
    ),
    "googlenet": _INCEPTION,
    "inception-v3": _INCEPTION,
    "resnet50-v2": PaintDefaults(
        "stage1.block2,stage2.block2",
        "stem,stage1.block2,stage2.block2,stage3.block2,stage4.block2",
        encode_scale=2.0,
    ),
}


def of_own(network: Network) -> PaintDefaults:
    """For a network that nothing is known of: style of all its maps, content of the middle one."""
    maps = [name for name, tap in network.taps.items() if tap.stride]
    return PaintDefaults(maps[len(maps) // 2], ",".join(maps))


def has_signs(network: Network) -> bool:
    """Whether there is a quantizer in it, whose gradient has to be estimated."""
    # Here, so that commands which only list defaults need not wait for torch.
    from ..quantizers import Quantizer

    return any(isinstance(module, Quantizer) for module in network.modules())


def resolved(settings: PaintSettings, network: Network | None = None) -> PaintSettings:
    """The settings with everything that was left to the network filled in.

    Args:
        network: that is given as such, and may be none of those that have a name.
    Raises:
        InputError: unknown network, or an estimator for one that has no sign to estimate.
    """
    if network is not None and settings.network not in NETWORKS:
        defaults, signs = of_own(network), has_signs(network)
    else:
        spec = network_spec(settings.network)
        defaults, signs = DEFAULTS[spec.name], spec.kind != "float"
    for option in ("estimator", "estimator_width"):
        if not signs and getattr(settings, option) not in (None, "trained"):
            raise InputError(
                f"{option_name(option)} has no meaning for {settings.network}, which has no "
                "one-bit layers"
            )
    filled = {
        field.name: getattr(defaults, field.name)
        for field in dataclasses.fields(defaults)
        if getattr(settings, field.name) is None
    }
    if settings.content_weight == 0:
        filled.pop("content_taps", None)
    if settings.style_weight == 0:
        filled.pop("style_taps", None)
        filled.pop("statistic", None)
    if settings.content_weight == settings.style_weight == 0:
        # Colours alone are compared, without the network.
        filled = {}
    if settings.estimator_width is not None and settings.estimator is None:
        # A width without a name is meant for a window that has one.
        filled["estimator"] = "approx"
    statistic = filled.get("statistic", settings.statistic)
    if "orientations" in filled and statistic == "sliced-wasserstein":
        # Each would keep all the style's maps.
        filled["orientations"] = 1
    if settings.learning_rate is None:
        way = settings.optimizer, settings.canvas
        filled["learning_rate"] = OTHER_RATES.get(way, defaults.learning_rate)
    if settings.average is None:
        filled["average"] = defaults.average
    if settings.step_window is None and settings.takes_step_window():
        filled["step_window"] = STEP_WINDOW
    if settings.style_size is None and settings.counts_style():
        filled["style_size"] = settings.size
    return dataclasses.replace(settings, **filled)
