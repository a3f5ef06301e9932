"""Styles made by code, worth painting with.

Light on purpose: what paints a style is imported when it is rendered. Nothing here needs torch.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InputError, unknown_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .fields import Array

SMALLEST, LARGEST = 64, 2048
"""The sides in pixels that a style can be rendered at."""


@dataclass(frozen=True)
class StyleSpec:
    """A style that can be asked for by name; the module of that name in this package paints it.

    Attributes:
        description: one line, for lists.
    """

    name: str
    description: str

    def paint(self, size: int) -> Array:
        """The picture at its working size: RGB [size, size, 3], float32 in [0, 1]."""
        module = importlib.import_module(f".{self.name}", __name__)
        picture: Array = module.paint(size)
        return picture


STYLES: dict[str, StyleSpec] = {
    spec.name: spec
    for spec in (
        StyleSpec("brushstrokes", "thick oil strokes that follow a swirling night sky"),
        StyleSpec("mosaic", "stone and glass tesserae laid along coils and waves"),
        StyleSpec("woodcut", "black carved lines over ochre, red and teal tint blocks"),
        StyleSpec("pointillism", "a river at evening in dots of pure colour"),
        StyleSpec("stainedglass", "leaded glass with the sun behind it"),
        StyleSpec("watercolour", "wet washes that bloom and gather at their rims"),
        StyleSpec("waves", "rolling scallops of flat blue with dark contours and foam"),
        StyleSpec("cubist", "broken planes of ochre, grey, green and blue"),
        StyleSpec("pastel", "a garden in hatched chalk on dark, toothed paper"),
        StyleSpec("marbling", "floating inks dropped, raked and combed"),
    )
}
"""Every style, in the order in which they are listed."""


def style_names() -> list[str]:
    """The names of all styles, in the order in which they are listed."""
    return list(STYLES)


def render_style(name: str, size: int = 512) -> npt.NDArray[np.uint8]:
    """Paints a style. The same name gives the same composition at every size.

    Args:
        size: side of the square picture in pixels, 64 to 2048.
    Returns:
        sRGB [size, size, 3].
    Raises:
        InputError: an unknown name, for which the nearest is suggested, or an impossible size.
    """
    if name not in STYLES:
        raise unknown_name("style", name, STYLES)
    if not SMALLEST <= size <= LARGEST:
        raise InputError(
            f"a style is rendered at {SMALLEST} to {LARGEST} px a side, not at {size} px"
        )
    # Imported here, so that listing the styles does not wait for numpy.
    import numpy as np
    from PIL import Image

    # Painted larger and reduced, so that edges are smooth; a small picture keeps its fine strokes.
    working = min(LARGEST, max(1024, 2 * size))
    picture = STYLES[name].paint(working)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
