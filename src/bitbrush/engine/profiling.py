"""How torch's profiler sees what kernels do, which it knows nothing of."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.profiler import record_function

FLOATS = "bitbrush floats"
"""Layers of floats: a stem, or what lies between two stages."""

STAGE = "bitbrush stage"
"""Residual blocks, forward."""

STAGE_BACK = "bitbrush stage back"
"""The same, backward."""

GRADIENT = "bitbrush gradient convolution"
"""Within the latter. In 8-bit integers a block is one pass, which this is all of."""


def seen_as(name: str) -> AbstractContextManager[object]:
    """Names what is done for a profiler, if one runs."""
    return record_function(name) if torch._C._autograd._profiler_enabled() else nullcontext()
