"""Opening picture files."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "AVIF")
"""What is read, by Pillow's names. Not all that Pillow knows: some start other programs."""

LARGEST_FILE = 1 << 30
"""Bytes of a picture file, since it is read at once."""

LARGEST_PIXELS = 150_000_000
"""Width times height; about 5 GB while being read. Pillow's own limit lies just above."""

LONGEST_SIDE = 32_767
"""Pixels of a side."""


_ADDRESS = re.compile(r"https?:/")
"""How a path begins that was meant as an address; of two slashes a path keeps one."""


def read_bytes(path: Path) -> bytes:
    """The whole file.

    Raises:
        InputError: it is missing, a folder or device, unreadable, empty, or above `LARGEST_FILE`.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a picture file")
        if not path.exists():
            address = "; an address is not fetched" if _ADDRESS.match(str(path)) else ""
            raise InputError(f"there is no file {path}{address}")
        if not path.is_file():
            raise InputError(f"{path} is not a regular file")
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(f"{path} has {size} bytes; the most that is read is {LARGEST_FILE}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {path}: {reason}") from error
    if not data:
        raise InputError(f"{path} is empty")
    return data


def open_picture(data: bytes, path: Path) -> Image.Image:
    """The picture in the bytes, its header read and its declared size checked, not yet decoded.

    Raises:
        InputError: no known picture, or one larger than the limits of this module.
    """
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]  # AVIF only in newer Pillow
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; whether one is too large is decided below.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=known)
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large: {LARGEST_PIXELS} pixels at most") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path} is not a picture that can be read (PNG, JPEG, WebP, TIFF, GIF, BMP, PPM, "
            "JPEG 2000 or AVIF)"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a broken header makes Pillow raise nearly anything
        raise InputError(f"{path} is damaged: {error}") from error
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise InputError(
            f"{path} is too large: {width}x{height} px, at most {LARGEST_PIXELS} pixels are read"
        )
    if max(width, height) > LONGEST_SIDE:
        raise InputError(
            f"{path} is {width}x{height} px; a side may have {LONGEST_SIDE} px at most"
        )
    return image
