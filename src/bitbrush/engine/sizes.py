"""Sizes and numbers that the kernels and whoever calls them agree on."""

from __future__ import annotations

BLOCK = 64
"""Channels that are handled together: the bits of one mask word."""

TILE = 4
"""Pixels that share each load of weights. Four pixels of 64 channels are 16 registers of sums."""

LANES = 16
"""32-bit lanes of the widest register."""

FLOATS = 4 * BLOCK
"""Bytes of 64 floats."""

ROW = 4 * LANES
"""Bytes of 16 floats."""

GAP = 64
"""Bytes left between rows and between parts of a workspace, which at powers of 2 would push one
another out of the cache."""

LINE = 64
"""Bytes of a cache line."""

COLOURS = 3
"""Channels of a picture."""

STEM_VECTORS = 4
"""Sixteenths of a stem's channels that are computed together."""

NONE, MAXIMUM, AVERAGE = 0, 1, 2
"""What 2x2 cells are pooled to before a blur."""

WINDOW = 3
"""Cells that a blur's result looks at along an axis."""

SEEN = 2
"""Results of a blur that look at a cell along an axis, at most."""

MOST_VALUES = 25
"""Values of a `winograd` tile between its two maps, at most."""

LARGEST = 127
"""These values lie between -127 and +127; they are kept with 128 added, as the instruction wants
it."""

AROUND = 1
"""Cells of zeros around the strips of `amx`."""

TILE_BYTES = 1024
"""Of a tile register: 16 rows of 64 bytes."""

POSITIONS_AT_ONCE = 96
"""Positions whose tiles `amx` multiplies together."""

CELLS = 11**2
"""Cells of the largest kernel that `sign_tiles` is for."""

RESULTS = POSITIONS_AT_ONCE * FLOATS
"""Bytes of 64 filters' results there."""

GROUP = 16
"""Tiles whose values meet the weights while these are in the cache."""

POSITIONS = 64
"""Positions that `moments` centres and multiplies at a time, so that they stay in the nearest
cache."""

EVERYWHERE, BITS, BYTES, REALS = 0, 1, 2, 3
"""How a factor of the gradient is kept, see `factors`: not at all, as it is 1 everywhere; as one
bit; one byte; one float."""

WHOLE, PAIRS, MAKE_PAIRS = 0, 1, 2
"""How `map_positions` finds its matrix: in float32; in pairs of bfloat16; in float32, of which it
makes pairs."""

TABLE = 4096
"""Entries of the table from which a factor's byte is read."""
