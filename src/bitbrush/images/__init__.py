"""Pictures in and out: files of any common kind to RGB in [0, 1], and back with their settings."""

from __future__ import annotations

from .metadata import read_metadata
from .picture import Picture, check_paintable, cropped, opaque, resize
from .reading import from_pillow, read_image
from .writing import check_output, to_pillow, write_image

__all__ = [
    "Picture",
    "check_output",
    "check_paintable",
    "cropped",
    "from_pillow",
    "opaque",
    "read_image",
    "read_metadata",
    "resize",
    "to_pillow",
    "write_image",
]
