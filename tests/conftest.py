"""What all tests share: one thread, so that they are repeatable and leave other cores alone."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
