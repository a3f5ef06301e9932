"""Many styles in one labelled picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from . import render_style

MOUNT, LABEL = (247, 244, 237), (40, 36, 32)
COLUMNS = 5


def contact_sheet(names: Sequence[str], size: int = 256) -> npt.NDArray[np.uint8]:
    """The styles side by side, five in a row, each with its name below it.

    Args:
        names: of the styles, at least one.
        size: side of each picture in pixels.
    Returns:
        sRGB [height, width, 3].
    Raises:
        InputError: an unknown name or an impossible size.
    """
    margin, text = max(6, size // 16), max(11, size // 12)
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    step_x, step_y = size + margin, size + margin + round(1.6 * text)
    sheet = Image.new("RGB", (columns * step_x + margin, rows * step_y + margin), MOUNT)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(text)
    for number, name in enumerate(names):
        left = margin + number % columns * step_x
        top = margin + number // columns * step_y
        sheet.paste(Image.fromarray(render_style(name, size)), (left, top))
        width = pen.textlength(name, font=font)
        place = (left + (size - width) / 2, top + size + 0.25 * text)
        pen.text(place, name, fill=LABEL, font=font)
    return np.asarray(sheet)
