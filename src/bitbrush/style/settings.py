"""Every painting parameter, once: its default, unit and meaning.

The command line's options, the table in the documentation and the metadata in a picture are all
made from this dataclass. It imports no torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..choices import DEVICES, ENGINES, PRECISIONS
from ..errors import InputError, unknown_name

STATISTICS = ("wasserstein", "covariance", "gram", "mean", "sliced-wasserstein")
CANVASES = ("pixels", "fourier")
PRESERVE = ("none", "luminance", "statistics")
OPTIMIZERS = ("adam", "lbfgs")
SCHEDULES = ("constant", "cosine")
POOLINGS = ("max", "average")
ESTIMATORS = ("trained", "ste", "approx", "swish", "ede", "identity")
INITS = ("content", "noise", "grey")

ORIENTATIONS = (1, 2, 4)
"""In how many a picture may be seen: as it is; also mirrored; also both upside down."""

LARGEST = 16384
"""Longest edge in pixels that may be asked for."""


def setting(default: Any, help_text: str, choices: Sequence[str] = ()) -> Any:
    """A dataclass field with what the command line and the documentation say about it."""
    return dataclasses.field(
        default=default, metadata={"help": help_text, "choices": tuple(choices)}
    )


@dataclass(frozen=True)
class PaintSettings:
    """How to paint. A default of None means: what suits the network, see `defaults`.

    Raises:
        InputError: a value out of its range, an unknown choice, or settings that exclude or
            ignore one another.
    """

    network: str = setting("quickbrush", "network that paints")
    weights: str = setting("default", "'default', 'none' (random, seeded), or a file of weights")
    size: int = setting(512, "long edge of the painting in pixels")
    style_size: int | None = setting(
        None, "long edge of the style pictures in pixels: larger means larger strokes; as --size"
    )
    style_weights: tuple[float, ...] = setting(
        (), "share of each style, in their order, such as 0.7,0.3; equal shares"
    )
    content_weight: float = setting(0.12, "weight of keeping the content's drawing")
    style_weight: float = setting(1.0, "weight of taking on the style's texture")
    colour_weight: float = setting(0.5, "weight of taking on the style's palette")
    tv_weight: float = setting(0.002, "weight of smoothness (squared total variation)")
    content_taps: str | None = setting(None, "NAME[:WEIGHT],… of the network's taps for content")
    style_taps: str | None = setting(None, "NAME[:WEIGHT],… of the network's taps for style")
    statistic: str | None = setting(None, "what of a tap counts as style", STATISTICS)
    steps: int = setting(250, "steps over all scales (L-BFGS: evaluations)")
    min_size: int = setting(128, "long edge in pixels of the first, coarsest scale")
    optimizer: str = setting("adam", "optimiser of the canvas", OPTIMIZERS)
    learning_rate: float | None = setting(
        None, "step size of Adam on pixels; on a fourier canvas 0.008, of L-BFGS 1 and 0.5"
    )
    schedule: str = setting("constant", "how that step size falls within a scale", SCHEDULES)
    average: float | None = setting(
        None, "decay of the running average of steps that is the result"
    )
    init: str = setting("content", "'content', 'noise', 'grey', or a picture to begin with")
    canvas: str = setting("pixels", "what is optimised", CANVASES)
    estimator: str | None = setting(
        None, "gradient of sign on the way to the picture; 'trained': each layer's own", ESTIMATORS
    )
    estimator_width: float | None = setting(None, "width of that gradient's window; 1")
    pooling: str | None = setting(None, "pooling in networks that pool", POOLINGS)
    encode_scale: float | None = setting(None, "the network sees the picture this much larger")
    roll: int | None = setting(
        None, "largest random shift of the picture under the network, in pixels"
    )
    orientations: int | None = setting(
        None,
        "ways that the network sees the picture in turn; 1: as it is; 2: and its mirror image; "
        "4: and both upside down",
    )
    noise: float | None = setting(
        None, "spread of the noise, drawn anew at each step, that the network sees on the picture"
    )
    blur_gradient: bool = setting(True, "blur the picture's gradient with [1 2 1]")
    step_window: int | None = setting(
        None, "side in pixels of the blur by which neighbours share Adam's step size, 1: none; 3"
    )
    preserve_colours: str = setting("none", "keep the content's colours, and how", PRESERVE)
    seed: int = setting(0, "seed of everything random")
    engine: str = setting("auto", "how one-bit layers are computed", ENGINES)
    precision: str = setting(
        "auto",
        "what one-bit layers' gradients are computed in; auto: the CPU's fastest",
        PRECISIONS,
    )
    device: str = setting("cpu", "where to compute", DEVICES)
    threads: int | None = setting(None, "CPU threads; one for each core")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = field.metadata["choices"], getattr(self, field.name)
            if choices and value is not None and value not in choices:
                raise unknown_name(option_name(field.name), value, choices)
        self._check_ranges()
        self._check_combinations()
        for taps in (self.content_taps, self.style_taps):
            if taps is not None:
                parse_taps(taps)

    def counts_style(self) -> bool:
        """Whether anything of the style pictures takes part in the loss."""
        return self.style_weight > 0 or self.colour_weight > 0 or self.tv_weight > 0

    def takes_step_window(self) -> bool:
        """Whether Adam steps on pixels."""
        return self.optimizer == "adam" and self.canvas == "pixels"

    def _check_ranges(self) -> None:
        for name in ("content_weight", "style_weight", "colour_weight", "tv_weight"):
            _check(name, getattr(self, name), "a number of at least 0", 0, math.inf)
        for weight in self.style_weights:
            _check("style_weights", weight, "numbers of at least 0", 0, math.inf)
        for name in ("size", "min_size", "style_size"):
            if getattr(self, name) is not None:
                wanted = f"between 1 and {LARGEST} pixels"
                _check(name, getattr(self, name), wanted, 1, LARGEST)
        _check("steps", self.steps, "between 1 and 1000000", 1, 1_000_000)
        if self.average is not None:
            _check("average", self.average, "at least 0 and below 1", 0, math.nextafter(1, 0))
        if self.roll is not None:
            _check("roll", self.roll, "between 0 and 64 pixels", 0, 64)
        _check("seed", self.seed, "between 0 and 2^63 - 1", 0, 2**63 - 1)
        if self.step_window is not None:
            _check("step_window", self.step_window, "between 1 and 63 pixels", 1, 63)
            if self.step_window % 2 == 0:
                raise InputError(f"--step-window must be an odd number, not {self.step_window}")
        if self.learning_rate is not None:
            _check("learning_rate", self.learning_rate, "above 0 and at most 100", 1e-12, 100)
        if self.estimator_width is not None:
            _check("estimator_width", self.estimator_width, "between 0.001 and 1000", 1e-3, 1e3)
        if self.orientations not in (None, *ORIENTATIONS):
            raise InputError(f"--orientations must be 1, 2 or 4, not {self.orientations}")
        if self.noise is not None:
            _check("noise", self.noise, "at least 0 and at most 1", 0, 1)
        if self.encode_scale is not None:
            _check("encode_scale", self.encode_scale, "between 0.25 and 8", 0.25, 8)
        if self.threads is not None:
            _check("threads", self.threads, "between 1 and 1024", 1, 1024)

    def _check_combinations(self) -> None:
        if self.style_weight == 0 and self.content_weight == 0 and self.colour_weight == 0:
            raise InputError("--style-weight, --content-weight and --colour-weight are all 0")
        if self.optimizer == "lbfgs" and self.schedule != "constant":
            raise InputError(f"--schedule {self.schedule} has no meaning with --optimizer lbfgs")
        if self.step_window is not None and not self.takes_step_window():
            raise InputError(
                "--step-window has no meaning with --optimizer lbfgs or --canvas fourier"
            )
        if self.style_weights and not 0 < sum(self.style_weights) < math.inf:
            raise InputError("--style-weights are all 0, or too large to add up")
        if self.content_taps is not None and self.content_weight == 0:
            raise InputError("--content-taps has no meaning with --content-weight 0")
        if self.style_taps is not None and self.style_weight == 0:
            raise InputError("--style-taps has no meaning with --style-weight 0")
        if self.estimator_width is not None and self.estimator in ("trained", "identity"):
            raise InputError(f"--estimator {self.estimator} has no --estimator-width")
        if self.style_weight == 0 and self.statistic is not None:
            raise InputError(f"--statistic {self.statistic} has no meaning with --style-weight 0")
        if self.style_weight == 0 and self.content_weight == 0:
            views = ("encode_scale", "roll", "orientations", "noise")
            for name in ("estimator", "estimator_width", *views):
                if getattr(self, name) is not None:
                    raise InputError(
                        f"{option_name(name)} has no meaning with --style-weight 0 and "
                        "--content-weight 0"
                    )
        if self.style_size is not None and not self.counts_style():
            raise InputError("--style-size has no meaning where nothing of the style counts")


def _check(name: str, value: float, wanted: str, low: float, high: float) -> None:
    if not low <= value <= high or value == math.inf:
        raise InputError(f"{option_name(name)} must be {wanted}, not {value}")


def option_name(field: str) -> str:
    """The command line's option for a field: content_weight -> --content-weight."""
    return "--" + field.replace("_", "-")


def parse_taps(text: str) -> dict[str, float]:
    """NAME[:WEIGHT],… as weights by name; a weight left out is 1.

    Raises:
        InputError: an empty or repeated name, or a weight that is no positive number.
    """
    taps: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight_text = part.strip().partition(":")
        try:
            weight = float(weight_text) if colon else 1.0
        except ValueError:
            weight = math.nan
        if not name or name in taps or not 0 < weight < math.inf:
            raise InputError(f"{text!r} is not NAME[:WEIGHT],… with positive weights")
        taps[name] = weight
    if not sum(taps.values()) < math.inf:
        raise InputError(f"the weights of {text!r} are too large to add up")
    return taps


def make_settings(values: Mapping[str, Any]) -> PaintSettings:
    """Settings from plain values: taps also as mappings or sequences of names.

    Raises:
        InputError: an unknown setting, a value of another type, or what `PaintSettings` raises.
    """
    fields = {field.name: field for field in dataclasses.fields(PaintSettings)}
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            raise unknown_name("setting", name, fields)
        plain[name] = _plain(name, value, str(fields[name].type))
    return PaintSettings(**plain)


def _plain(name: str, value: Any, kind: str) -> Any:
    if isinstance(value, Mapping):
        value = ",".join(f"{tap}:{weight}" for tap, weight in value.items())
    elif isinstance(value, (list, tuple)) and name != "style_weights":
        value = ",".join(str(part) for part in value)
    if value is None:
        if "None" not in kind:
            raise InputError(f"{option_name(name)} needs a value")
        return None
    try:
        if name == "style_weights":
            return tuple(float(part) for part in value)
        if kind.startswith("bool"):
            if value not in (True, False):
                raise ValueError
            return bool(value)
        if kind.startswith("int"):
            if not isinstance(value, str) and int(value) != value:
                raise ValueError
            return int(value)
        if kind.startswith("float"):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{option_name(name)} cannot be {value!r}") from None
    return str(value)
