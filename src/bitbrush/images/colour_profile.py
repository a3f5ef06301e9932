"""Colour profiles: from whatever a file brings to sRGB."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms

_PERCEPTUAL = ImageCms.Intent.PERCEPTUAL
_DATE = slice(24, 36)

NEAR = 16
"""Levels of 255 that a grey may move by under a profile that is called sRGB. Those that are differ
in rounding, or in how deep black is; linear light moves greys by up to 70."""


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, always the same bytes.

    The maker of profiles dates them, which would make every file written differ; the date is
    set to 2000-01-01.
    """
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_DATE] = b"".join(n.to_bytes(2, "big") for n in (2000, 1, 1, 0, 0, 0))
    return bytes(profile)


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """An image without alpha as sRGB, perceptually, by its profile.

    Args:
        image: of mode L, RGB, CMYK, YCbCr or LAB.
        profile: the file's ICC profile; None takes the usual meaning of the mode.
    Returns:
        the image in mode RGB, and notes for the user.
    """
    if image.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _convert(image, lab), ()
    if profile is None:
        if image.mode == "CMYK":
            return image.convert("RGB"), ("CMYK without a colour profile: colours are approximate",)
        return image.convert("RGB"), ()
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space == "RGB" and image.mode != "CMYK":
            rgb = image.convert("RGB")
            return (rgb if is_srgb(profile) else _convert(rgb, source)), ()
        if (space, image.mode) in (("GRAY", "L"), ("CMYK", "CMYK")):
            return _convert(image, source), ()
    except (ImageCms.PyCMSError, OSError, ValueError):
        pass
    return image.convert("RGB"), ("its colour profile does not fit and was ignored",)


def _convert(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    target = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    converted = ImageCms.profileToProfile(image, source, target, _PERCEPTUAL, "RGB")
    assert converted is not None  # None is for conversion in place only
    return converted


@cache
def is_srgb(profile: bytes | None) -> bool:
    """Whether the profile calls itself sRGB and is it, or there is none.

    Profiles of linear light have that in their names, too.
    """
    if profile is None:
        return True
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" not in ImageCms.getProfileDescription(source).lower():
            return False
        mode = "L" if source.profile.xcolor_space.strip() == "GRAY" else "RGB"
        greys = np.arange(256, dtype=np.uint8)[None]
        seen = np.asarray(_convert(Image.fromarray(greys).convert(mode), source), np.int16)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return bool(abs(seen - greys[..., None]).max() <= NEAR)


def grey_to_srgb(grey: np.ndarray, profile: bytes | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Grey of any precision as sRGB, by its profile.

    Args:
        grey: [H, W] in [0, 1], float32.
    Returns:
        [H, W, 3] in [0, 1] and notes for the user. The profile is a curve; it is sampled at
        256 values and interpolated, so that smooth greys stay smooth.
    """
    if profile is None or is_srgb(profile):
        return np.repeat(grey[..., None], 3, axis=2), ()
    ramp, notes = to_srgb(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), profile)
    curve = np.asarray(ramp, np.float32)[0] / 255
    at = np.linspace(0, 1, 256)
    rgb = np.stack([np.interp(grey, at, curve[:, channel]) for channel in range(3)], axis=2)
    return rgb.astype(np.float32), notes
