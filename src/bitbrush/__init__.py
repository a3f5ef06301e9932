"""bitbrush: neural style transfer painted by binarized neural networks."""

from __future__ import annotations

__version__ = "0.1.0"
