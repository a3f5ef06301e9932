"""What all tests share: one thread, so that they are repeatable and leave other cores alone.

No generated case has a time limit: the first one may compile a kernel, and machines differ.
"""

from __future__ import annotations

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
