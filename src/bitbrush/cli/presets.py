"""`bitbrush presets`: looks with a name, listed, painted on a picture, or copied to be edited."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import __version__
from ..atomic import make_folder, write_atomically
from ..errors import InputError
from ..presets import Preset, load_preset, preset_names, shipped_file
from .app import app, options
from .engine_notes import prepare_engine
from .networks import AsJson
from .paint import check_sources
from .progress import progress

if TYPE_CHECKING:
    from ..images import Picture

SHEET_SIZE, SHEET_STEPS = 256, 120


@app.command()
def presets(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME or PICTURE]",
            help="A preset, by name or as .toml file; with -o or --folder, a picture to paint by "
            "all of them.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write a contact sheet of the picture's paintings."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Write each painting into this folder, which is made if need be."),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(help="Paint in this style, in place of the presets' own; may be repeated."),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Paint by this one only, a name or .toml file; may be repeated."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            max=2048,
            help=f"Long edge of each painting in pixels: {SHEET_SIZE}, unless given.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            help=f"Steps of each painting: {SHEET_STEPS}, unless given.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Copy the preset to this .toml file, to edit or share."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the presets, show one, or paint a picture by all of them.

    A preset is used with bitbrush paint --preset NAME.
    """
    if output is None and folder is None:
        painting = {"--style": style, "--preset": preset, "--size": size, "--steps": steps}
        for option, value in painting.items():
            if value:
                raise InputError(f"{option} has no meaning without -o FILE or --folder")
        _check_no_picture(what)
        if save is not None:
            _save(what, save)
        else:
            _list([load_preset(name) for name in ([what] if what else preset_names())], as_json)
        return
    if save is not None:
        raise InputError("--save has no meaning with -o or --folder, which paint")
    if what is None:
        raise InputError("name the PICTURE to paint by the presets")
    chosen = [load_preset(name) for name in preset or preset_names()]
    sizes = (size or SHEET_SIZE, steps or SHEET_STEPS)
    written = _paint(Path(what), chosen, style or [], sizes, output, folder)
    if as_json:
        print(json.dumps([str(path) for path in written]))
    elif not options.quiet:
        print(*written, sep="\n")


def _paint(
    source: Path,
    chosen: Sequence[Preset],
    styles: Sequence[str],
    sizes: tuple[int, int],
    output: Path | None,
    folder: Path | None,
) -> list[Path]:
    """Paints the picture by each preset; returns the files that were written, the sheet first."""
    # Imported here, so that the list needs no torch.
    from ..images import write_image
    from ..presets.sheet import preset_sheet, sheet_session
    from ..style.sources import as_picture

    files = {preset.name: _file(folder, preset) for preset in chosen if folder is not None}
    if len({preset.name for preset in chosen}) < len(chosen):
        raise InputError("two of the --preset files have the same name")
    targets = [*([] if output is None else [output]), *files.values()]
    _check_targets(targets, folder, source, *styles)
    picture = as_picture(source)
    size, steps = sizes
    # All of them before the first paints, so that what is wrong is said at once.
    drawn: dict[tuple[str, int], Picture] = {}
    sessions = [sheet_session(picture, preset, styles, size, steps, drawn) for preset in chosen]
    for session in sessions:
        prepare_engine(session.job.network, session.job.settings.engine)
    total = sum(scale.steps for session in sessions for scale in session.scales)
    done, paintings = 0, []
    with progress("painting", total) as bar:
        for session in sessions:
            for step in session.steps():
                bar.update(done + step.done, session.preset.name)
            done += step.done
            painting = session.painting(step)
            paintings.append((painting.image, session.preset.name))
            if folder is not None:
                painting.save(files[session.preset.name])
    if output is not None:
        names = [preset.name for preset in chosen]
        made = {"bitbrush": __version__, "command": "presets", "presets": names}
        write_image(preset_sheet(picture, paintings, size), output, made)
    return targets


def _file(folder: Path, preset: Preset) -> Path:
    return folder / f"{preset.name.removesuffix('.toml')}.png"


def _check_targets(targets: Sequence[Path], folder: Path | None, *sources: str | Path) -> None:
    from ..images import check_output

    seen: set[Path] = set()
    for target in targets:
        if target.resolve() in seen:
            raise InputError(
                f"two pictures would be written to {target}; rename a --preset file or change -o"
            )
        seen.add(target.resolve())
    if folder is not None:
        make_folder(folder)
    for target in targets:
        check_output(target)
        check_sources(target, *sources)


def _check_no_picture(what: str | None) -> None:
    if what is None or what.endswith(".toml") or what in preset_names():
        return
    if Path(what).is_file():
        raise InputError(f"{what} is no preset; to paint it by all of them, add -o SHEET.png")


def _list(found: Sequence[Preset], as_json: bool) -> None:
    if as_json:
        print(json.dumps([preset.as_json() for preset in found]))
        return
    width = max(len(preset.name) for preset in found)
    for preset in found:
        print(f"{preset.name:<{width}}  {preset.description}")


def _save(name: str | None, path: Path) -> None:
    if name is None:
        raise InputError("name the preset to --save")
    data = shipped_file(name)
    if path.suffix != ".toml":
        raise InputError(f"a preset's file ends in .toml, unlike {path.name}")
    if path.exists():
        raise InputError(f"{path} exists; choose another name")
    write_atomically(path, data)
    if not options.quiet:
        print(path)
