"""Near-duplicates are told from other pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from bitbrush.train.duplicates import Unwanted
from bitbrush.train.pictures import PictureCache


def picture(seed: int, width: int = 240, height: int = 180) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def test_the_same_in_another_guise_is_found() -> None:
    unwanted = Unwanted([picture(1), picture(2)])
    assert picture(1) in unwanted and picture(2, 120, 160) in unwanted
    assert picture(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT) in unwanted
    assert picture(1).convert("L") in unwanted
    packed = io.BytesIO()
    picture(2).save(packed, "JPEG", quality=20)
    assert Image.open(packed) in unwanted


def test_others_are_not() -> None:
    unwanted = Unwanted([picture(1), picture(2)])
    assert not any(picture(seed) in unwanted for seed in range(3, 40))
    assert Image.new("RGB", (50, 50), "grey") not in unwanted
    assert picture(1) not in Unwanted([])
    assert Image.new("RGB", (50, 50)) not in Unwanted([Image.new("RGB", (60, 60))])


def test_a_cache_leaves_them_out(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(4):
        picture(seed).save(folder / f"{seed}.png")
    cache = PictureCache.build([folder], tmp_path / "cache.u8", unwanted=Unwanted([picture(2)]))
    assert len(cache) == 3 and cache.left_out == 1
    assert PictureCache(tmp_path / "cache.u8").left_out == 1
