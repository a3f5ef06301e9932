"""What larq-zoo's two AlexNets have in common: where their taps lie."""

from __future__ import annotations

from .taps import Tap

# 3x3 pools without border want three cells: ceil(n / 4) >= 3, then 7, then 15.
TAPS = {
    "stem": Tap(stride=8, smallest=9),
    "stage1.block1": Tap(stride=16, smallest=25),
    "stage1.block2": Tap(stride=16, smallest=25),
    "stage1.block3": Tap(stride=16, smallest=25),
    "stage2.block1": Tap(stride=32, smallest=57),
    "logits": Tap(stride=0, smallest=224, size=224),
}
"""Of networks with pools behind the first, second and fifth convolution."""
