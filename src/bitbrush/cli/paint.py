"""`bitbrush paint`: a picture in the manner of another."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, PaintingError
from ..presets import Preset
from ..process_memory import peak_since_start
from ..style.settings import PaintSettings
from .app import app, options
from .engine_notes import prepare_engine
from .progress import Progress, progress
from .resuming import check_unfinished, clean_up, finished, resumed
from .settings_options import with_settings
from .signals import Interruptions

if TYPE_CHECKING:
    from ..style.loop import Step
    from ..style.paint import Painting, Session
    from ..style.state import State

CHECKPOINT_SECONDS = 10.0
"""Time between two checkpoints at least, where --save-every does not say otherwise."""

CHECKPOINT_SHARE = 0.05
"""Of the time of a painting that they may take then."""

LONGEST_NAME = 220
"""Bytes of the output's name; a file may have 255, and a checkpoint's name is longer."""


@app.command()
@with_settings
def paint(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The picture to paint.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT", help="The .png, .jpg, .webp or .tiff file."),
    ],
    settings: PaintSettings,
    preset: Preset | None,
    styles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STYLE",
            help="Pictures to paint it like, or names of built-in styles; a preset may bring one.",
            show_default=False,
        ),
    ] = None,
    save_every: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Write checkpoint and picture so far every N steps."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted painting of this name.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Paint CONTENT in the manner of STYLE.

    Interrupted (Ctrl-C keeps the picture so far), it continues with --resume.
    """
    # Imported here, so that help and usage errors need no torch.
    from ..images import check_output

    check_output(output)
    check_sources(output, content, *(styles or ()), settings.init, settings.weights)
    session = _session(content, styles or [], settings, preset)
    transparent = session.content.alpha is not None
    check_output(output, transparent=transparent, size=session.output_size())
    for picture in filter(None, (session.content, *session.styles, session.init)):
        for note in picture.notes:
            _remark(f"{picture.name}: {note}")
    metadata = finished(session, output) if resume else None
    if metadata is not None:
        _remark(f"{output} is finished already")
        if as_json:
            _print_json(metadata, output, 0.0)
        return
    state = resumed(session, output) if resume else None
    if state is not None:
        _remark(f"resuming at step {state.total}")
    elif not resume:
        replaced = check_unfinished(session, output)
        if replaced:
            _remark(replaced)
    else:
        _remark(f"there is no checkpoint of {output} to resume from; beginning anew")
    prepare_engine(session.job.network, session.job.settings.engine)
    started = time.monotonic()
    run = Run(session, output, save_every, state)
    del state  # its pictures would stay to the end
    painting = run.paint()
    seconds = time.monotonic() - started
    if as_json:
        _print_json(painting.metadata, output, seconds)
    elif not options.quiet:
        height, width = painting.image.shape[-2:]
        print(f"{output}: {width}x{height} px, {seconds:.1f} s, {peak_since_start() / 1e6:.0f} MB")


def _session(
    content: Path, styles: list[str], settings: PaintSettings, preset: Preset | None
) -> Session:
    from ..presets.paint import PresetSession
    from ..style.paint import Session

    if preset is not None:
        return PresetSession(content, preset.styles(styles), settings, preset)
    if not styles:
        raise InputError("Missing argument 'STYLE...', which only a --preset can bring")
    return Session(content, styles, settings)


def check_sources(output: Path, *sources: str | Path) -> None:
    """Makes sure that the painting will not replace what it is made from, and has room for a name.

    Raises:
        InputError: it would, or there is none for the files that are written beside it.
    """
    if len(os.fsencode(output.name)) > LONGEST_NAME:
        raise InputError(f"the output's name is longer than {LONGEST_NAME} bytes")
    for source in map(Path, sources):
        if source.exists() and output.exists() and source.samefile(output):
            raise InputError(f"{output} would replace {source}, which it is painted from")


class Run:
    """One run of the loop, with its checkpoints, its progress bar, and its end.

    Args:
        save_every: steps between checkpoints, each with the picture so far; None: by time, and
            without the picture.
        state: to continue from.
    """

    def __init__(
        self, session: Session, output: Path, save_every: int | None, state: State | None
    ) -> None:
        from ..style.checkpoint import checkpoint_path

        self.session = session
        self.output = output
        self.save_every = save_every
        self.state = state
        self.checkpoint = checkpoint_path(output)
        self.saved_at = time.monotonic()
        self.saved_step = state.total if state else 0
        self.pause = CHECKPOINT_SECONDS

    def paint(self) -> Painting:
        """Paints to the end and writes the picture.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM, once picture and checkpoint are written.
            InputError: a loss became infinite; the last good picture is written.
        """
        steps = sum(scale.steps for scale in self.session.scales)
        painting: Painting | None = None
        all_steps, self.state = self.session.steps(self.state), None
        # Closed at once, since who holds an error would hold the painting and its threads.
        with (
            closing(all_steps),
            Interruptions() as interruptions,
            progress("painting", steps) as bar,
        ):
            try:
                for step in all_steps:
                    _show(bar, step)
                    if step.done >= steps:
                        painting = self.session.painting(step)
                    elif interruptions.waiting:
                        self._save(step, picture=True)
                        interruptions.deliver(f"continue {self.output} with --resume")
                    else:
                        self._save_if_due(step)
            except PaintingError as error:
                raise self._broken_off(error) from error
            if painting is None:
                raise InputError(f"{self.checkpoint} holds a finished painting; delete it")
            painting.save(self.output)
            clean_up(self.output)
        return painting

    def _save_if_due(self, step: Step) -> None:
        if self.save_every is None:
            begun = time.monotonic()
            if begun - self.saved_at >= self.pause:
                self._save(step, picture=False)
                self.pause = max(self.pause, (self.saved_at - begun) / CHECKPOINT_SHARE)
        elif step.done // self.save_every > self.saved_step // self.save_every:
            self._save(step, picture=True)

    def _save(self, step: Step, picture: bool) -> None:
        from ..style.checkpoint import Checkpoint, save_checkpoint

        save_checkpoint(Checkpoint(self.session.run(), step.state()), self.checkpoint)
        if picture:
            self.session.painting(step).save(self.output)
        self.saved_at, self.saved_step = time.monotonic(), step.done

    def _broken_off(self, error: PaintingError) -> InputError:
        if error.picture is None:
            return InputError(str(error))
        steps = sum(scale.steps for scale in self.session.scales)
        self.session.finished(error.picture, {}, [], 0, steps).save(self.output)
        # It would only lead to the same failure.
        clean_up(self.output)
        return InputError(f"{error}; the last good picture is {self.output}")


def _show(bar: Progress, step: Step) -> None:
    parts: dict[str, float] = {}
    for name, value in step.losses.items():
        kind = name.partition("/")[0]
        parts[kind] = parts.get(kind, 0.0) + value
    losses = " ".join(f"{kind} {value:.4f}" for kind, value in parts.items())
    bar.update(step.done, f"{step.width}x{step.height} step {step.done}/{step.steps} {losses}")


def _remark(text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr)


def _print_json(metadata: Mapping[str, Any], output: Path, seconds: float) -> None:
    settings = metadata["settings"] | metadata["resolved"]
    result = {
        "output": str(output),
        "network": settings["network"],
        "engine": metadata["engine"],
        "precision": metadata["precision"],
        "threads": metadata["threads"],
        "device": settings["device"],
        "width": metadata["width"],
        "height": metadata["height"],
        "steps": metadata["steps_done"],
        "seconds": round(seconds, 3),
        "peak_rss_mb": round(peak_since_start() / 1e6, 1),
        "losses": metadata["losses"],
        "settings": settings,
    }
    print(json.dumps(result))
