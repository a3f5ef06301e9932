"""`bitbrush paint`: a picture in the manner of another."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, PaintingError
from ..style.settings import PaintSettings
from .app import app, options
from .progress import Progress, progress
from .settings_options import with_settings
from .signals import Interruptions

if TYPE_CHECKING:
    from ..style.loop import Step
    from ..style.paint import Painting, Session
    from ..style.state import State

CHECKPOINT_SECONDS = 10.0
"""Time between two checkpoints where --save-every does not say otherwise."""


@app.command()
@with_settings
def paint(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The picture to paint.")],
    styles: Annotated[
        list[str],
        typer.Argument(
            metavar="STYLE", help="Pictures to paint it like, or names of built-in styles."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT", help="The .png, .jpg, .webp or .tiff file."),
    ],
    settings: PaintSettings,
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
    from ..style.paint import Session

    check_output(output)
    session = Session(content, styles, settings)
    check_output(output, transparent=session.content.alpha is not None)
    for picture in (session.content, *session.styles):
        for note in picture.notes:
            _say(f"{picture.name}: {note}", as_json)
    finished = _finished(session, output) if resume else None
    if finished is not None:
        _say(f"{output} is finished already", as_json)
        if as_json:
            _print_json(finished, output, session, 0.0)
        return
    state = _resumed(session, output, as_json) if resume else None
    started = time.monotonic()
    painting = Run(session, output, save_every, state).paint()
    seconds = time.monotonic() - started
    if as_json:
        _print_json(painting.metadata, output, session, seconds)
    else:
        height, width = painting.image.shape[-2:]
        _say(f"{output}: {width}x{height} px, {seconds:.1f} s, {_peak_mb():.0f} MB", as_json)


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

    def paint(self) -> Painting:
        """Paints to the end and writes the picture.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM, once picture and checkpoint are written.
            InputError: a loss became infinite; the last good picture is written.
        """
        steps = sum(scale.steps for scale in self.session.scales)
        painting: Painting | None = None
        with Interruptions() as interruptions, progress("painting", steps) as bar:
            try:
                for step in self.session.steps(self.state):
                    _show(bar, step)
                    if step.done >= steps:
                        painting = self.session.painting(step)
                    elif interruptions.waiting:
                        self._save(step, picture=True)
                        interruptions.deliver()
                    else:
                        self._save_if_due(step)
            except PaintingError as error:
                raise self._broken_off(error) from error
        if painting is None:
            raise InputError(f"{self.checkpoint} holds a finished painting; delete it")
        painting.save(self.output)
        self.checkpoint.unlink(missing_ok=True)
        return painting

    def _save_if_due(self, step: Step) -> None:
        if self.save_every is None:
            if time.monotonic() - self.saved_at >= CHECKPOINT_SECONDS:
                self._save(step, picture=False)
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
        from ..images import resize

        last = self.session.scales[-1]
        image = resize(error.picture, last.height, last.width)
        steps = sum(scale.steps for scale in self.session.scales)
        self.session.finished(image, {}, [], 0, steps).save(self.output)
        return InputError(f"{error}; the last good picture is {self.output}")


def _show(bar: Progress, step: Step) -> None:
    parts: dict[str, float] = {}
    for name, value in step.losses.items():
        kind = name.partition("/")[0]
        parts[kind] = parts.get(kind, 0.0) + value
    losses = " ".join(f"{kind} {value:.4f}" for kind, value in parts.items())
    bar.update(step.done, f"{step.width}x{step.height} step {step.done}/{step.steps} {losses}")


def _finished(session: Session, output: Path) -> Mapping[str, Any] | None:
    """The metadata of the output if it is this painting, finished.

    Raises:
        InputError: it is another one, finished.
    """
    from ..images import read_metadata
    from ..style.checkpoint import checkpoint_path
    from ..style.paint import run_hash

    if checkpoint_path(output).exists() or not output.exists():
        return None
    try:
        metadata = read_metadata(output)
    except InputError:
        return None
    if not metadata.get("steps") or metadata.get("steps_done") != metadata["steps"]:
        return None
    if metadata.get("run") != run_hash(session.run()):
        raise InputError(f"{output} was painted with other settings; choose another name")
    return metadata


def _resumed(session: Session, output: Path, as_json: bool) -> State | None:
    """The state to continue from; None, said aloud, where there is none.

    Raises:
        InputError: the checkpoint belongs to other settings, threads or versions.
    """
    from ..style.checkpoint import checkpoint_path, load_checkpoint

    path = checkpoint_path(output)
    checkpoint = load_checkpoint(path)
    if checkpoint is None:
        _say(f"there is no {path.name} to resume from; beginning anew", as_json)
        return None
    if session.settings.threads is None:
        session.threads = int(checkpoint.run.get("threads", session.threads))
    ours, theirs = _flat(session.run()), _flat(checkpoint.run)
    different = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
    if different:
        changes = ", ".join(f"{k} {theirs.get(k)} -> {ours.get(k)}" for k in different[:4])
        raise InputError(
            f"{path.name} was made with something else ({changes}); repeat that, or delete it"
        )
    _say(f"resuming at step {checkpoint.state.total}", as_json)
    return checkpoint.state


def _flat(run: Mapping[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in run.items() if k != "settings"}, **run["settings"]}


def _say(text: str, as_json: bool) -> None:
    if not options.quiet:
        print(text, file=sys.stderr if as_json else sys.stdout)


def _peak_mb() -> float:
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _print_json(
    metadata: Mapping[str, Any], output: Path, session: Session, seconds: float
) -> None:
    result = {
        "output": str(output),
        "network": session.settings.network,
        "engine": metadata["engine"],
        "device": session.job.settings.device,
        "width": metadata["width"],
        "height": metadata["height"],
        "steps": metadata["steps_done"],
        "seconds": round(seconds, 3),
        "peak_rss_mb": round(_peak_mb(), 1),
        "losses": metadata["losses"],
        "settings": metadata["resolved"],
    }
    print(json.dumps(result, ensure_ascii=False))
