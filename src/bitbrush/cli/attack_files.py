"""The files of `bitbrush attack`: pictures to attack, attacked ones, and what was found of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..atomic import make_folder, write_atomically
from ..errors import InputError
from .progress import progress

if TYPE_CHECKING:
    from ..images import Picture
    from ..lab.attack.study import Found, Plan

LOSSLESS = (".png", ".tif", ".tiff")
"""Endings of files that keep every level of a pixel: others would undo an attack."""

RESULTS = "results.json"


def check_pictures(pictures: Sequence[Path]) -> None:
    """Reads all of them, so that a bad one is told before hours go into those before it.

    Raises:
        InputError: as `read`.
    """
    with progress("reading the pictures", len(pictures)) as bar:
        for done, path in enumerate(pictures, 1):
            read(path)
            bar.update(done, path.name)


def written_names(pictures: Sequence[Path]) -> dict[Path, str]:
    """The file of each attacked picture, named by the whole of its name where two would be one."""
    # By the names in small letters, between which some systems see no difference.
    alike = len({path.stem.casefold() for path in pictures}) < len(pictures)
    return {path: f"{path.name if alike else path.stem}.png" for path in pictures}


def check_output(output: Path | None, pictures: Sequence[Path], folder: bool) -> None:
    """Makes sure that results can be written, and replace nothing that they are made from.

    Raises:
        InputError: they cannot, or would.
    """
    from ..images import check_output as check_picture

    if output is None:
        return
    if folder:
        if output.exists() and not output.is_dir():
            raise InputError(f"{output} is a file; results of a folder need a folder")
        if output.exists() and output.samefile(pictures[0].parent):
            raise InputError(f"{output} holds the pictures themselves; choose another folder")
        make_folder(output)
        return
    check_picture(output)
    if output.suffix.lower() not in LOSSLESS:
        raise InputError(
            f"{output.suffix} files change pixels, which would undo the attack; write a .png"
        )
    if output.exists() and output.samefile(pictures[0]):
        raise InputError(f"{output} would replace {pictures[0]}, which it is made from")


def read(path: Path) -> Picture:
    """A picture that can be attacked.

    Raises:
        InputError: it cannot be read, or is too small.
    """
    from ..images import check_paintable, read_image

    picture = read_image(path)
    check_paintable(picture)
    return picture


def write(found: Found, picture: Picture, plan: Plan, path: Path) -> None:
    """Writes the attacked picture, with what made it.

    Raises:
        InputError: it cannot be written.
    """
    from ..images import resize, write_image

    height, width = found.picture.shape[-2:]
    row = found.row
    metadata = {
        "bitbrush": __version__,
        "command": "attack",
        "content": {"name": picture.name, "sha256": picture.sha256},
        "settings": _without_paths(plan.as_json()),
        "before": row["before"][0],
        "after": row["after"][0],
        # Without the time it took, so that the same picture gives the same bytes.
        "attack": {k: v for k, v in row["attacks"]["ours"].items() if k != "seconds"},
        "width": width,
        "height": height,
    }
    alpha = None if picture.alpha is None else resize(picture.alpha, height, width)
    write_image(found.picture, path, metadata, alpha)


def _without_paths(plan: dict[str, Any]) -> dict[str, Any]:
    """Paths stay on the machine they belong to."""
    return {
        key: Path(value).name if key in ("style", "weights") and value else value
        for key, value in plan.items()
    }


def held_rows(results: Path, plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows by file name, of a run of the same plan that was interrupted or of fewer pictures.

    Raises:
        InputError: the file is of another plan, or no such file.
    """
    if not results.exists():
        return {}
    try:
        held = json.loads(results.read_text(encoding="utf-8"))
        theirs, rows = held["plan"], held["pictures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{results} is no results file of bitbrush attack; delete it") from error
    # As it looks after having been written.
    ours = json.loads(json.dumps(plan))
    different = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
    if different:
        raise InputError(
            f"{results} was made with other settings ({', '.join(different[:4])}); "
            "choose another folder"
        )
    return dict(rows)


def keep(results: Path, plan: Mapping[str, Any], rows: Mapping[str, Any]) -> None:
    """Writes the rows by file name, for whoever goes on.

    Raises:
        InputError: they cannot be written.
    """
    text = json.dumps({"plan": plan, "pictures": rows}, indent=1, ensure_ascii=False)
    write_atomically(results, text.encode())
