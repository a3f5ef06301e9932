"""A progress bar on stderr, for whatever takes more than a moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from .app import options


class Progress:
    """What a command tells of its progress; this one shows nothing.

    Args:
        title: what is being done, such as "painting".
        total: steps or bytes until done; None if that is not known.
    """

    def __init__(self, title: str, total: float | None) -> None:
        self.title = title
        self.total = total
        self.done = 0.0

    def update(self, done: float, note: str = "") -> None:
        """Sets how much is done, counted as `total` is, and a short remark such as the loss."""
        self.done = done

    def close(self, failed: bool = False) -> None:
        """Called once, at the end or when the work failed."""


class Line(Progress):
    """One line at the end, for output that goes to a file or a log."""

    def __init__(self, title: str, total: float | None) -> None:
        super().__init__(title, total)
        self._started = time.monotonic()
        self._note = ""

    def update(self, done: float, note: str = "") -> None:
        self.done = done
        self._note = note

    def close(self, failed: bool = False) -> None:
        if failed:
            return  # in a log, the error is the line that counts
        share = "" if not self.total else f" {min(100 * self.done / self.total, 100):.0f} %,"
        seconds = time.monotonic() - self._started
        note = f", {self._note}" if self._note else ""
        print(f"{self.title}:{share} {seconds:.1f} s{note}", file=sys.stderr)


class Bar(Progress):
    """A bar with the share done and the time left, for a terminal.

    One that is begun while another is shown stands below it: a terminal has one display.
    """

    _display: ClassVar[Any] = None

    def __init__(self, title: str, total: float | None) -> None:
        # Imported here, since rich costs a tenth of a second that --help should not pay.
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        super().__init__(title, total)
        self._is_first = Bar._display is None
        if self._is_first:
            Bar._display = RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=Console(stderr=True),
            )
            Bar._display.start()
        self._task = Bar._display.add_task(title, total=total, note="")

    def update(self, done: float, note: str = "") -> None:
        self.done = done
        Bar._display.update(self._task, completed=done, note=note)

    def close(self, failed: bool = False) -> None:
        if self._is_first:
            Bar._display.stop()
            Bar._display = None
        else:
            Bar._display.remove_task(self._task)


@contextmanager
def progress(title: str, total: float | None = None) -> Iterator[Progress]:
    """Shows progress while the block runs: a bar on a terminal, else one line at its end.

    With --quiet nothing is shown. Everything goes to stderr; stdout is for results.

    Args:
        title: what is being done, such as "painting".
        total: steps or bytes until done; None if that is not known.
    """
    shown: Progress
    if options.quiet:
        shown = Progress(title, total)
    elif sys.stderr.isatty():
        shown = Bar(title, total)
    else:
        shown = Line(title, total)
    try:
        yield shown
    except BaseException:
        shown.close(failed=True)
        raise
    shown.close()
