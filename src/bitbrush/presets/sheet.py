"""Every preset on one picture: small paintings, and one sheet with all of them."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

from torch import Tensor

from ..images import Picture, resize
from ..lab.sheet import contact_sheet
from ..style.sources import as_style
from .paint import PresetSession
from .preset import Preset

COLUMNS = 5


def sheet_session(
    picture: Picture,
    preset: Preset,
    styles: Sequence[str],
    size: int,
    steps: int,
    drawn: MutableMapping[tuple[str, int], Picture],
) -> PresetSession:
    """A small painting of the picture by a preset.

    Args:
        styles: in place of the preset's own; empty: its own.
        size: long edge in pixels.
        steps: how many, whatever the preset says.
        drawn: pictures of styles by name and size; what is missing is added. To draw one takes as
            long as dozens of steps, and presets share them.
    Raises:
        InputError: as `PresetSession`, or there is no style.
    """
    settings, kept = preset.with_explicit({"size": size, "steps": steps})
    seen = settings.style_size or settings.size
    names = kept.styles(styles)
    for name in names:
        if (name, seen) not in drawn:
            drawn[name, seen] = as_style(name, seen)
    return PresetSession(picture, [drawn[name, seen] for name in names], settings, kept)


def preset_sheet(picture: Picture, paintings: Sequence[tuple[Tensor, str]], size: int) -> Tensor:
    """The picture and its paintings in rows of `COLUMNS`, each under its name.

    Args:
        paintings: RGB [1, 3, H, W] in [0, 1] and the names of their presets.
        size: their height on the sheet in pixels.
    Returns:
        RGB [1, 3, H', W'] in [0, 1].
    """
    width = max(round(picture.width * size / picture.height), 1)
    cells = [(resize(picture.rgb, size, width), picture.name), *paintings]
    rows = [cells[first : first + COLUMNS] for first in range(0, len(cells), COLUMNS)]
    return contact_sheet(rows, size)
