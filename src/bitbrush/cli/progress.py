"""Progress on stderr, for whatever takes more than a moment: a bar, or lines of a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

from .app import options
from .pace import Pace


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


FIRST_LINE = 60.0
"""Seconds after which a log is first told how far it is."""

LATER_LINES = 1.1
"""Time gone at the next line over that at the last one, so that ten hours take some fifty lines."""


class Line(Progress):
    """Lines in a file or a log: one at the end, and a few on the way there if that takes long."""

    def __init__(self, title: str, total: float | None) -> None:
        super().__init__(title, total)
        self._started = time.monotonic()
        self._pace = Pace()
        self._next = FIRST_LINE
        self._note = ""

    def update(self, done: float, note: str = "") -> None:
        self.done = done
        self._note = note
        self._pace.update(done)
        gone = self._gone()
        if gone >= self._next:
            self._next = max(gone * LATER_LINES, gone + FIRST_LINE)
            left = self._pace.left(self.total)
            self._say(f"{_clock(gone)} gone" if left is None else f"{_clock(left)} left")

    def close(self, failed: bool = False) -> None:
        if not failed:  # in a log, the error is the line that counts
            self._say(f"{self._gone():.1f} s")

    def _gone(self) -> float:
        return time.monotonic() - self._started

    def _say(self, duration: str) -> None:
        share = "" if not self.total else f" {min(100 * self.done / self.total, 100):.0f} %,"
        note = f", {self._note}" if self._note else ""
        print(f"{self.title}:{share} {duration}{note}", file=sys.stderr, flush=True)


class Bar(Progress):
    """A bar with the share done and the time left, for a terminal.

    One that is begun while another is shown stands below it: a terminal has one display.
    """

    _display: ClassVar[Any] = None

    def __init__(self, title: str, total: float | None) -> None:
        # Imported here, since rich costs a tenth of a second that --help should not pay.
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress

        super().__init__(title, total)
        self._is_first = Bar._display is None
        if self._is_first:
            Bar._display = RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[left]}", style="progress.remaining"),
                TextColumn("{task.fields[note]}", markup=False),
                console=Console(stderr=True),
            )
            Bar._display.start()
        self._pace = Pace()
        self._task = Bar._display.add_task(title, total=total, note="", left="-:--:--")

    def update(self, done: float, note: str = "") -> None:
        self.done = done
        self._pace.update(done)
        left = self._pace.left(self.total)
        told = "-:--:--" if left is None else _clock(left)
        Bar._display.update(self._task, completed=done, note=note, left=told)

    def close(self, failed: bool = False) -> None:
        if self._is_first:
            Bar._display.stop()
            Bar._display = None
        else:
            Bar._display.remove_task(self._task)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def progress(title: str, total: float | None = None) -> Iterator[Progress]:
    """Shows progress while the block runs: a bar on a terminal, else a line at its end, and some
    before if it takes more than a minute.

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
