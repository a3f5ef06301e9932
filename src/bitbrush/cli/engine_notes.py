"""What is said of the engine before a network runs, and the wait for kernels that it may take."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .app import options
from .progress import progress

if TYPE_CHECKING:
    from ..networks.taps import Network


def prepare_engine(network: Network, asked: str = "auto") -> None:
    """Says why one-bit layers run in floats, and compiles the kernels that are not compiled yet.

    Args:
        network: as it was loaded.
        asked: the engine that was asked for.
    """
    if network.engine == "packed":
        if network.mean.device.type == "cpu":
            compile_kernels()
    elif asked == "auto" and _has_one_bit_layers(network) and find_spec("numba") is None:
        _say(
            "Numba is not installed, so one-bit layers are computed in floats, which is slower "
            "(pip install numba)"
        )


def _has_one_bit_layers(network: Network) -> bool:
    from ..networks.registry import NETWORKS

    spec = NETWORKS.get(network.name)
    return spec is not None and spec.kind != "float"


def compile_kernels() -> None:
    """Compiles the kernels that are not compiled yet, with a progress bar."""
    from ..engine.compiling import compile_missing, missing_kernels
    from ..engine.kernel_cache import cache_folder, why_no_cache

    missing = missing_kernels()
    if not missing:
        return
    if cache_folder() is None:
        # Only those that are used, then, when they are: it takes less time.
        _say(f"compiling kernels for this CPU, which cannot be kept: {why_no_cache()}")
        return
    with progress("compiling kernels for this CPU, once", len(missing)) as bar:
        compile_missing(bar.update)


def _say(text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr)
