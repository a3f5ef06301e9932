"""The entry point: gathers the commands and runs the one that was asked for."""

from __future__ import annotations

import io
import sys
from typing import NoReturn

import typer.main

from ..engine.first_use import before_compiling

# A module's commands join the application when it is imported.
from . import (  # noqa: F401
    atlas,
    attack,
    bench,
    classify,
    doctor,
    evaluate,
    lab,
    networks,
    paint,
    presets,
    show,
    styles,
    train,
    weights,
)
from .app import app, install_signals
from .engine_notes import compile_kernels


def main() -> NoReturn:
    """Runs `bitbrush` with the process's arguments and ends the process."""
    install_signals()
    before_compiling(compile_kernels)
    # The name of a file may hold bytes that are no text; they are printed as they came.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    # Not app(), which would hand errors to typer's own display first.
    typer.main.get_command(app).main()
    raise AssertionError("the group ends the process")


if __name__ == "__main__":
    main()
