"""Compiling kernels apart from whoever needs them, in processes that load nothing else.

A task is one line of JSON on the standard input: a file to write, and the module, the name and the
record of a function. It is answered by a line when the file is there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ..atomic import write_atomically
from .machine_code import Built


def build(module: str, name: str, fields: Sequence[tuple[str, str]]) -> Built:
    """Compiles a function of `native`, or of a module elsewhere.

    Args:
        module: a name that is relative to `native` where it begins with a dot.
        fields: of its record, as names and types of NumPy.
    """
    return Built(getattr(import_module(module, f"{__package__}.native"), name), fields)


def main() -> None:
    """Does tasks until there are no more."""
    for line in sys.stdin:
        task = json.loads(line)
        built = build(task["module"], task["name"], [(name, kind) for name, kind in task["fields"]])
        write_atomically(Path(task["file"]), built.machine_code().to_bytes())
        print(flush=True)
