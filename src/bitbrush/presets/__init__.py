"""Looks with a name, for covers and posters: one small TOML file each.

Light on purpose: what paints and finishes is in modules of its own, since listing needs no torch.
"""

from __future__ import annotations

from .files import load_preset, preset_names, shipped_file
from .preset import Finish, Preset, Print

__all__ = ["Finish", "Preset", "Print", "load_preset", "preset_names", "shipped_file"]
