"""What a preset is: settings with a style, a crop, a finish and a size in print. No torch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, unknown_name
from ..style.settings import LARGEST, PaintSettings, make_settings

KINDS = ("posterise", "tones", "duotone")
DITHERS = ("none", "diffusion", "ordered", "halftone")

MOST_COLOURS = 64
"""Of a finish. With more, nobody sees that the colours were counted."""

INK = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Finish:
    """What is done to the painted picture at last.

    Attributes:
        kind: "posterise" leaves a few colours, "tones" prints the lightness in inks, "duotone"
            colours the lightness by a ramp between inks.
        colours: how many the picture chooses itself, 2 to `MOST_COLOURS`; only to posterise.
        inks: sRGB as "#rrggbb". Tones and duotones take them from dark to light (a duotone 2 or
            3); to posterise they stand in place of `colours`, and each pixel takes the nearest.
        dither: how the shades between inks are made. A duotone has them all; ordered and halftone
            screens are for tones.
        across: pixels across the long edge, each enlarged to a visible square; with a halftone
            its cells. None: the picture's own pixels. It does not depend on the picture's size, so
            that a small sheet shows what a large print will be.
        contrast: per cent of the pixels, at either end, that become black and white beforehand,
            0 to 40; None: lightness stays.
        saturation: factor of saturation beforehand, 0 to 4; only to posterise.

    Raises:
        InputError: a value out of its range, or one that the kind has no use for.
    """

    kind: str
    colours: int | None = None
    inks: tuple[str, ...] = ()
    dither: str = "none"
    across: int | None = None
    contrast: float | None = None
    saturation: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind", self.kind, KINDS)
        if self.dither not in DITHERS:
            raise unknown_name("dither", self.dither, DITHERS)
        for ink in self.inks:
            if not INK.fullmatch(ink):
                raise InputError(f"inks are written '#rrggbb', not {ink!r}")
        _within("across", self.across, 8, 4096)
        _within("contrast", self.contrast, 0, 40)
        _within("saturation", self.saturation, 0, 4)
        self._check_colours()
        self._check_dither()

    def _check_colours(self) -> None:
        if self.kind == "posterise":
            if (self.colours is None) == (not self.inks):
                raise InputError("posterise takes either colours or inks")
            _within("colours", self.colours, 2, MOST_COLOURS)
        elif self.colours is not None:
            raise InputError(f"colours has no meaning for {self.kind}, which counts its inks")
        elif self.saturation != 1:
            raise InputError(f"saturation has no meaning for {self.kind}, which sees no colour")
        most = 3 if self.kind == "duotone" else MOST_COLOURS
        if self.colours is None and not 2 <= len(self.inks) <= most:
            raise InputError(f"{self.kind} takes 2 to {most} inks, not {len(self.inks)}")

    def _check_dither(self) -> None:
        if self.dither in ("ordered", "halftone") and self.kind != "tones":
            raise InputError(f"dither {self.dither!r} is for tones, not for {self.kind}")
        if self.dither != "none" and self.kind == "duotone":
            raise InputError("dither has no meaning for duotone, which has every shade")
        if self.dither == "halftone" and self.across is None:
            raise InputError("a halftone needs across, the number of its cells")


@dataclass(frozen=True)
class Print:
    """The size of the written picture.

    Attributes:
        pixels: its long edge; None: as painted.
        dpi: pixels per inch, noted in the file.

    Raises:
        InputError: a value out of its range.
    """

    pixels: int | None = None
    dpi: int = 300

    def __post_init__(self) -> None:
        _within("pixels", self.pixels, 32, LARGEST)
        _within("dpi", self.dpi, 1, 4800)


@dataclass(frozen=True)
class Preset:
    """A look with a name.

    Attributes:
        name: of a preset that comes with bitbrush, else of the file, with its ending.
        description: one line, for lists.
        style: a built-in style's name; None: the user names a style.
        settings: fields of `PaintSettings` that differ from their defaults.
        crop: width to height, such as (1, 1) for a square, cut from the middle of the content;
            None: all of it.
        finish: None: the picture stays as painted.
        print: of what size it is written.
        sha256: of its file.
    """

    name: str
    description: str
    style: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    crop: tuple[int, int] | None = None
    finish: Finish | None = None
    print: Print | None = None
    sha256: str = ""

    def with_explicit(self, explicit: Mapping[str, Any]) -> tuple[PaintSettings, Preset]:
        """The settings to paint with, and the preset as far as it still holds.

        Args:
            explicit: settings that the user gave: they win. Who gives a size gets that size, and
                not the one for print.
        Raises:
            InputError: settings that are no good, or exclude one another.
        """
        try:
            settings = make_settings({**self.settings, **explicit})
        except InputError as error:
            raise InputError(f"with preset {self.name}: {error}") from error
        if self.print is None or "size" not in explicit:
            return settings, self
        kept = dataclasses.replace(self.print, pixels=None)
        return settings, dataclasses.replace(self, print=kept)

    def styles(self, given: Sequence[Any]) -> list[Any]:
        """The styles to paint in: those given, else the preset's own.

        Raises:
            InputError: there are none.
        """
        if not given and self.style is None:
            raise InputError(f"preset {self.name} brings no style of its own; name a STYLE")
        return list(given) or [self.style]

    def as_json(self) -> dict[str, Any]:
        """All of it in JSON values, as it stands in a painting's metadata."""
        values = dataclasses.asdict(self)
        values["settings"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.settings.items()
        }
        values["crop"] = None if self.crop is None else list(self.crop)
        if self.finish is not None:
            values["finish"]["inks"] = list(self.finish.inks)
        return values


def _within(key: str, value: float | None, low: float, high: float) -> None:
    # Written so that no number (NaN) is out of range too.
    if value is not None and not low <= value <= high:
        raise InputError(f"{key} must be between {low} and {high}, not {value}")
