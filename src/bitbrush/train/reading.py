"""Pictures as they lie on the disk: found in folders and parquet files, and decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from ..images import from_pillow
from ..images.colour_profile import is_srgb
from ..images.files import open_picture
from ..images.reading import ORIENTATION, upright

PICTURE_ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}
IMAGE_COLUMNS = ("image", "img")


def picture_files(folder: Path) -> list[Path]:
    """The picture files in a folder and the folders in it, in the order of their names.

    None is hidden or lies in a hidden folder: macOS keeps what is no picture in `._NAME.jpg`.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_ENDINGS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def parquet_rows(source: Path, *needed: str) -> Iterator[dict[str, Any]]:
    """The rows of a parquet file of pictures.

    Args:
        source: has the bytes of picture files in a column `image` or `img`; or there, as Hugging
            Face's files do, structures of these bytes and a file's name.
        needed: further columns that it must have.
    Returns:
        of each row the bytes, as "image", and "label" and "split" where there are such columns.
    Raises:
        InputError: no or a damaged parquet file, other columns, or pyarrow is missing.
    """
    with _opened(source) as file:
        names = file.schema_arrow.names
        image = next((name for name in IMAGE_COLUMNS if name in names), None)
        if image is None or any(name not in names for name in needed):
            wanted = f"columns image and {' and '.join(needed)}" if needed else "a column image"
            raise InputError(f"{source} needs {wanted}, has {', '.join(names)}")
        columns = [image, *(name for name in ("label", "split") if name in names)]
        for batch in file.iter_batches(256, columns=columns):
            for row in batch.to_pylist():
                yield {**row, "image": _bytes(row[image], source)}


def label_names(source: Path) -> list[str]:
    """What the numbers in a column `label` are called, as Hugging Face notes it in parquet files.

    Returns:
        the names from number 0 on; none of a folder, or where nothing is noted.
    Raises:
        InputError: a damaged parquet file, or pyarrow is missing.
    """
    if source.is_dir():
        return []
    with _opened(source) as file:
        noted = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(noted)["info"]["features"]["label"]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


@contextmanager
def _opened(source: Path) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError("parquet files need pyarrow: pip install 'bitbrush[train]'") from None
    try:
        with parquet.ParquetFile(source) as file:
            yield file
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{source} is no parquet file, or damaged") from error


def _bytes(value: Any, source: Path) -> bytes:
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise InputError(f"{source} needs the bytes of pictures as image")
    return data


def decoded_picture(data: bytes, name: str) -> Image.Image:
    """The picture in a file's bytes: RGB of 8 bits, turned the way it is meant to be seen.

    Of whatever kind it is, its colours are those that `images.read_image` gives.

    Args:
        name: what messages are to call it.
    Raises:
        InputError: it cannot be decoded.
    """
    try:
        picture = open_picture(data, Path(name))
        # Through floats, as pictures of any other kind go, a photograph would take six times as
        # long; and there may be hundreds of thousands.
        if picture.mode in ("L", "RGB") and is_srgb(picture.info.get("icc_profile")):
            picture.load()
            # Pillow's own way would write Exif anew, too, which can fail.
            orientation = picture.getexif().get(ORIENTATION, 1)
            picture = picture.convert("RGB")
            if orientation == 1:
                return picture
            turned = upright(np.asarray(picture), orientation)
            return Image.fromarray(np.ascontiguousarray(turned))
        rgb = from_pillow(picture).rgb[0].permute(1, 2, 0)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise nearly anything for damaged data
        raise InputError(f"{name} cannot be decoded") from error
    return Image.fromarray((rgb * 255).round().byte().contiguous().numpy())
