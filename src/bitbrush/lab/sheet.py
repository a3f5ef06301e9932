"""Contact sheets: pictures in rows, to be looked at beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..images import resize

HEIGHT = 256
"""Of each picture, in pixels."""

GAP, LINE, LETTER = 6, 14, 6
"""Between pictures, of a line of text, and of a letter in it, in pixels."""


def contact_sheet(rows: Sequence[Sequence[tuple[Tensor, str]]], height: int = HEIGHT) -> Tensor:
    """Pictures of one height, each with a line of text above.

    Args:
        rows: of pictures RGB [1, 3, H, W] in [0, 1] and their texts.
        height: in pixels.
    Returns:
        RGB [1, 3, H', W'] in [0, 1].
    """
    strips = [[(_scaled(picture, height), text) for picture, text in row] for row in rows]
    width = GAP + max(sum(picture.width + GAP for picture, _ in strip) for strip in strips)
    step = height + LINE + GAP
    sheet = Image.new("RGB", (width, step * len(strips) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, strip in enumerate(strips):
        left, top = GAP, GAP + number * step
        for picture, text in strip:
            draw.text((left, top), text[: max(picture.width // LETTER, 1)], fill="black")
            sheet.paste(picture, (left, top + LINE))
            left += picture.width + GAP
    pixels = torch.from_numpy(np.array(sheet)).permute(2, 0, 1)[None]
    return pixels.float() / 255


def _scaled(picture: Tensor, height: int) -> Image.Image:
    width = max(round(picture.shape[-1] * height / picture.shape[-2]), 1)
    pixels = (resize(picture, height, width)[0] * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
