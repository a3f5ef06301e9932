"""The kernels there are, and what each is given; `native` holds what they do."""

from __future__ import annotations

from .kernel import Kernel
from .precision import cpu_features

_WINDOW_FIELDS = (
    "chunks parts pixels height width channels packed row_bytes image_bytes "
    "step_bytes row_step_bytes planes plane_bytes kernel run weights base scale offset result "
)

_BORDER_FIELDS = "border stride top left height_in width_in filters "

PACK = Kernel(
    ".pixels",
    "pack",
    "chunks rows values channels width blocks packed row_bytes image_bytes height "
    "factor_mode factors table gain_real shift_real window_real levels_real planes plane_bytes",
)
CONVOLVE = Kernel(
    ".pixels",
    "convolve",
    _WINDOW_FIELDS + _BORDER_FIELDS,
)
_RESIDUAL_FIELDS = (
    "before passed next_packed next_row_bytes next_image_bytes factor_mode factors table "
    "window_real "
)
RESIDUAL = Kernel(".residuals", "add_residual", _WINDOW_FIELDS + _RESIDUAL_FIELDS)
_SIGN_FIELDS = (
    "chunks parts bands rows height width channels packed row_bytes image_bytes kernel blocks_in "
    "weights base scale offset result workspace workspace_bytes "
)
CONVOLVE_TILES = Kernel(".sign_tiles", "convolve_tiles", _SIGN_FIELDS + _BORDER_FIELDS)
RESIDUAL_TILES = Kernel(".sign_tiles", "residual_tiles", _SIGN_FIELDS + _RESIDUAL_FIELDS)
GRADIENT = Kernel(
    ".pixels",
    "pass_gradient",
    "chunks pixels channels running fresh arrived arrived_half factor_mode factors "
    "unit_real zero_real tap passed scale result result_half",
)
ROUND = Kernel(
    ".pixels",
    "round_planes",
    "chunks rows values channels width blocks packed row_bytes image_bytes height pixel_bytes "
    "planes plane_bytes inverse_real seed",
)
SPREAD = Kernel(
    ".octets", "spread", "chunks rows values channels width height border grid cell_bytes"
)
SIGN_VALUES = Kernel(
    ".octets",
    "sign_values",
    "chunks rows height width tile_rows tile_columns grid cell_bytes result matrix_bytes",
)
GRADIENT_VALUES = Kernel(
    ".octets",
    "gradient_values",
    "chunks rows height width tile_rows tile_columns values channels inverse seed cell_bytes "
    "result matrix_bytes",
)
STEM = Kernel(
    ".stem",
    "stem",
    "chunks rows picture plane_bytes height width out_height out_width kernel stride top left "
    "replicate channels normal weights bias scale offset result passed workspace workspace_bytes "
    "line_floats",
)
STEM_BACK = Kernel(
    ".stem",
    "stem_back",
    "chunks rows picture plane_bytes height width out_height out_width kernel table_rows "
    "table_columns row_entries column_entries channels normal weights scale passed gradient "
    "workspace workspace_bytes columns slots",
)

_BLUR_FIELDS = (
    "chunks rows values onto height width channels rectified pool pooled_height pooled_width "
    "planes table_rows table_columns out_height out_width result winners workspace workspace_bytes"
)

BLUR = Kernel(".blur", "blur", _BLUR_FIELDS)
BLUR_BACK = Kernel(".blur", "blur_back", _BLUR_FIELDS)
DEPTHWISE = Kernel(
    ".filtering",
    "depthwise",
    "chunks rows values height width out_height out_width kernel table_rows table_columns "
    "row_entries column_entries channels weights bias result",
)
_MAP_FIELDS = (
    "chunks positions channels filters values matrix constant onto result workspace workspace_bytes"
)

MAP = Kernel(".products", "map_positions", f"{_MAP_FIELDS} room form")
MAP_TILES = Kernel(".amx", "map_tiles", _MAP_FIELDS)
_BACK_FIELDS = (
    "chunks parts height width channels filters gradient passed scale weights factor_mode factors "
    "unit_real zero_real running tap result workspace workspace_bytes "
)
_WINOGRAD_FIELDS = (
    f"{_BACK_FIELDS} runs tiles down across results values_step sums_step sums none whole copies "
)

WINOGRAD = Kernel(
    ".winograd", "winograd", f"base octets_step octets units sum_real {_WINOGRAD_FIELDS}"
)
WINOGRAD_FLOATS = Kernel(".winograd", "winograd_floats", _WINOGRAD_FIELDS)
AMX = Kernel(".amx", "amx", f"{_BACK_FIELDS} bands rows")
PRODUCTS = Kernel(
    ".moments",
    "products_of_channels",
    "chunks parts positions width row_bytes channels values shift sums products "
    "workspace workspace_bytes room",
)
FINISH = Kernel(
    ".moments",
    "finish_moments",
    "chunks bands channels room parts sums products shift share_real mean matrix",
)
IN_TURN = Kernel(".turns", "in_turn", "count functions records entry team")

KERNELS = (
    BLUR,
    BLUR_BACK,
    DEPTHWISE,
    PACK,
    CONVOLVE,
    RESIDUAL,
    GRADIENT,
    ROUND,
    MAP,
    STEM,
    STEM_BACK,
    WINOGRAD,
    WINOGRAD_FLOATS,
    PRODUCTS,
    FINISH,
    IN_TURN,
    *((MAP_TILES, AMX) if "amx-bf16" in cpu_features() else ()),
    *((CONVOLVE_TILES, RESIDUAL_TILES) if "amx-int8" in cpu_features() else ()),
)
"""All that painting has a use for on this CPU; what training alone needs is compiled when used."""
