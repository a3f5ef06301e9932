"""Painting with a preset: a session whose content is cropped and whose pictures are finished."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..errors import InputError
from ..images import check_paintable, cropped, resize
from ..style.memory import check_print
from ..style.paint import Painting, Session
from ..style.settings import PaintSettings
from ..style.sources import Source, as_picture
from .files import load_preset
from .finish import finished
from .preset import Preset


class PresetSession(Session):
    """A painting by a preset.

    The canvas knows nothing of finish and print: a checkpoint holds it without them, and every
    picture that is written has them.

    Attributes:
        preset: whose crop, finish and print are used. Its settings are part of `settings`
            already.
    """

    def __init__(
        self, content: Source, styles: Sequence[Source], settings: PaintSettings, preset: Preset
    ) -> None:
        """As `Session`, with the crop.

        Raises:
            InputError: as `Session`; or the crop leaves too little to paint, or the print would not
                fit into memory.
        """
        self.preset = preset
        picture = as_picture(content)
        if preset.crop is not None:
            picture = cropped(picture, preset.crop)
            check_paintable(picture)
        super().__init__(picture, styles, settings)
        check_print(self.job, *self.output_size())

    def run(self) -> dict[str, Any]:
        """All that decides about the result."""
        preset = self.preset.as_json()
        return super().run() | {name: preset[name] for name in ("crop", "finish", "print")}

    def output_size(self) -> tuple[int, int]:
        """Height and width in pixels of the finished picture, in print where it is enlarged."""
        height, width = super().output_size()
        size = self.preset.print
        if size is None or size.pixels is None:
            return height, width
        # By the crop's ratio, which the painting's few pixels only come near.
        wide, high = self.preset.crop or (width, height)
        scale = size.pixels / max(high, wide)
        return max(round(high * scale), 1), max(round(wide * scale), 1)

    def finished(
        self,
        image: Tensor,
        losses: Mapping[str, float],
        history: Sequence[float],
        done: int,
        steps: int,
    ) -> Painting:
        """A painting of this session, at its size in print and with its finish."""
        painting = super().finished(image, losses, history, done, steps)
        image, alpha = painting.image, painting.alpha
        height, width = self.output_size()
        size = self.preset.print
        if (height, width) != image.shape[-2:]:
            image = resize(image, height, width)
            alpha = None if alpha is None else resize(alpha, height, width)
        if self.preset.finish is not None:
            image = finished(image, self.preset.finish)
        made = {"width": width, "height": height, "preset": self.preset.as_json()}
        return dataclasses.replace(
            painting,
            image=image,
            alpha=alpha,
            dpi=None if size is None else size.dpi,
            metadata={**painting.metadata, **made},
        )


def paint_preset(
    content: Source,
    preset: str | Preset,
    style: Source | Sequence[Source] = (),
    **settings: Any,
) -> Painting:
    """Paints the content by a preset.

    Args:
        content: as for `bitbrush.paint`.
        preset: a shipped preset's name, the path of a .toml file, or a preset.
        style: in place of the preset's own style; as for `bitbrush.paint`.
        settings: fields of `PaintSettings` that win over the preset's.
    Returns:
        the painting, finished.
    Raises:
        InputError: a preset, picture, setting or network that is no good.
        PaintingError: a loss became infinite.
    """
    loaded = preset if isinstance(preset, Preset) else load_preset(preset)
    plain, kept = loaded.with_explicit(settings)
    given = list(style) if isinstance(style, (list, tuple)) else [style]
    session = PresetSession(content, kept.styles(given), plain, kept)
    for step in session.steps():
        if step.done >= step.steps:
            return session.painting(step)
    raise InputError("a painting needs at least one step")
