"""Measurements in processes of their own, whose memory nobody else has used.

A worker is a module run with `python -m`. It gets one JSON object as its argument and prints one
JSON object a line: {"share": done of 1, "note": text} on its way, and at its end {"result": …}, or
{"error": text} for what is the user's to put right.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

from ..errors import BitbrushError, InputError
from .timing import Advance


def run_worker(
    module: str, request: dict[str, Any], advance: Advance | None = None
) -> dict[str, Any]:
    """Runs a worker to its end.

    Args:
        module: its full name.
        request: what it is to do.
        advance: told of its progress.
    Returns:
        its result.
    Raises:
        InputError: it said so.
        BitbrushError: it broke down.
    """
    command = [sys.executable, "-m", module, json.dumps(request)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            return _result(process, module, advance)
        finally:
            process.kill()


def _result(process: subprocess.Popen[str], module: str, advance: Advance | None) -> dict[str, Any]:
    assert process.stdout is not None and process.stderr is not None
    for line in process.stdout:
        message: dict[str, Any] = json.loads(line)
        if "result" in message:
            result: dict[str, Any] = message["result"]
            return result
        if "error" in message:
            raise InputError(message["error"])
        if advance is not None:
            advance(message["share"], message["note"])
    lines = process.stderr.read().strip().splitlines()
    why = lines[-1] if lines else f"exit code {process.wait()}"
    raise BitbrushError(f"{module} broke down: {why}")


def serve(measure: Callable[[dict[str, Any], Advance], dict[str, Any]]) -> None:
    """The main program of a worker: measures what the argument asks for, and prints."""
    try:
        _print({"result": measure(json.loads(sys.argv[1]), _advance)})
    except InputError as error:
        _print({"error": str(error)})
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _advance(share: float, note: str) -> None:
    _print({"share": share, "note": note})


def _print(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)
