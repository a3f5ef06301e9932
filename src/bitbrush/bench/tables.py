"""What was measured as tables: for the terminal and for documents alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MB = 1e6


@dataclass(frozen=True)
class Table:
    """Rows of text under titles.

    Attributes:
        caption: what it shows.
        titles: of the columns; all but the first `texts` hold numbers.
        rows: as many cells each as there are titles.
    """

    caption: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1

    def markdown(self) -> str:
        """The caption and the table, in Markdown."""
        rules = ["---" if i < self.texts else "---:" for i in range(len(self.titles))]
        lines = [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
            for row in (self.titles, rules, *self.rows)
        ]
        return "\n".join([f"{self.caption}:", "", *lines])


def kernel_tables(result: Mapping[str, Any]) -> list[Table]:
    """Of `kernels.bench_kernels`."""
    cases = result["cases"]
    names = list(cases[0]["gmacs"])
    speeds = [[case["shape"], *(f"{case['gmacs'][name]:.0f}" for name in names)] for case in cases]
    times = [
        [
            case["shape"],
            *(_us(case["seconds"][name]["median"]) for name in ("sign and pack", "packed")),
            _times(case["ratio"]),
            _times(case["ratio_with_packing"]),
        ]
        for case in cases
    ]
    return [
        Table("GMAC/s of 3×3 convolutions, channels × side²", ["shape", *names], speeds),
        Table(
            "Forward, against torch's float32 conv2d in the faster of its two memory layouts",
            ["shape", "sign and pack, µs", "packed, µs", "packed vs torch", "with sign and pack"],
            times,
        ),
        # The others are in the table above.
        _ratios([ratio for ratio in result["ratios"] if ratio["target"] is not None]),
    ]


def step_tables(result: Mapping[str, Any]) -> list[Table]:
    """Of `networks.bench_step`."""
    size, least = result["size"], min(each["median"] for each in result["step"].values())
    steps = [_time_row(name, each, least) for name, each in result["step"].items()]
    quickest = {
        kind: min(each["median"] for name, each in result["forward"].items() if _kind(name) == kind)
        for kind in map(_kind, result["forward"])
    }
    forward = [
        _time_row(name, each, quickest[_kind(name)]) for name, each in result["forward"].items()
    ]
    timing = ["", "ms (median)", "least", "most", "times the quickest"]
    at = f"{result['forward_size']}×{result['forward_size']} px"
    tables = [
        Table(f"One step at {size}×{size} px", timing, steps),
        Table(f"Forward pass to the logits, and a step, at {at}", timing, forward),
        Table(
            "Memory, each in a process of its own",
            ["step of", "picture, px", "added by steps, MB", "whole process, MB", "ms a step"],
            [_memory_row(case) for case in result["memory"]],
            2,
        ),
    ]
    if result["growth"]:
        tables.append(
            Table(
                "Growth with the picture, each in a process of its own",
                ["step of", "picture, px", "added by steps, MB", "whole process, MB", "ms a step"],
                [_memory_row(case) for case in result["growth"]],
                2,
            )
        )
    if result["parts"] is not None:
        tables += _part_tables(result["parts"], size)
    return [*tables, _ratios(result["ratios"]), _limits(result["limits"])]


def paint_tables(result: Mapping[str, Any]) -> list[Table]:
    """Of `painting.bench_paint`."""
    rows = [
        [
            case["engine"],
            f"{case['width']}×{case['height']}",
            str(case["steps"]),
            f"{case['seconds']:.1f}",
            _mb(case["peak"]),
        ]
        for case in result["cases"]
    ]
    caption = f"{result['content']} in the manner of {result['style']}"
    titles = ["engine", "px", "steps", "seconds", "whole process, MB"]
    tables = [Table(caption, titles, rows, 2)]
    return [*tables, _ratios(result["ratios"])] if result["ratios"] else tables


def machine_line(result: Mapping[str, Any]) -> str:
    """What it was measured on, and whether the figures can be trusted."""
    machine, others = result["machine"], result["others_busy"]
    line = f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads"
    line += f", torch {machine['torch']}, numba {machine['numba']}"
    line += "".join(f", {name} {version}" for name, version in result.get("peers", {}).items())
    if others is not None:
        line += f"; other programs used {others:.0%} of the cores meanwhile"
    return line


def _part_tables(parts: Mapping[str, Any], size: int) -> list[Table]:
    whole = sum(row["seconds"] for row in parts["rows"])
    rows = [
        [
            row["part"],
            row["arithmetic"] or "",
            _ms(row["seconds"]),
            f"{row['seconds'] / whole:.0%}",
            "" if row["arithmetic_seconds"] is None else _ms(row["arithmetic_seconds"]),
            "" if row["bytes"] is None else _mb(row["bytes"]),
            "" if row["bytes_seconds"] is None else _ms(row["bytes_seconds"]),
        ]
        for row in parts["rows"]
    ]
    for key in ("arithmetic_seconds", "bytes", "bytes_seconds"):
        known = [row[key] for row in parts["rows"] if row[key] is not None]
        parts = {**parts, key: sum(known) if known else None}
    rows.append(
        [
            "whole step",
            "",
            _ms(whole),
            "100%",
            _ms(parts["arithmetic_seconds"]) if parts["arithmetic_seconds"] else "",
            _mb(parts["bytes"]),
            _ms(parts["bytes_seconds"]),
        ]
    )
    titles = ["part", "arithmetic", "ms", "share", "arithmetic at peak, ms"]
    titles += ["least MB moved", "ms at the caches' bandwidth"]
    peaks = parts["peaks"]
    octets, tiles, signs, halves = (
        "" if peaks[name] is None else f"{peaks[name] / 1e9:.0f} G/s"
        for name in ("int8_macs", "tile_macs", "sign_tile_macs", "bf16_macs")
    )
    clock = "" if peaks["clock"] is None else f"{peaks['clock'] / 1e9:.2f} GHz"
    found = [
        ["clock of a core", clock],
        ["popcount loop, all in the first cache", f"{peaks['popcount_words'] * 64 / 1e9:.0f} G/s"],
        ["product in 8-bit integers, the same", octets],
        ["product of tiles of bfloat16, the same", tiles],
        ["product of tiles of signs, the same", signs],
        ["bfloat16 matrix product, 2048²", halves],
        ["float32 matrix product, 2048²", f"{peaks['float32_macs'] / 1e9:.0f} G/s"],
        ["copy of 8 MB, read and written", f"{peaks['cache_bytes'] / 1e9:.1f} GB/s"],
        ["copy of 1 GB, read and written", f"{peaks['memory_bytes'] / 1e9:.1f} GB/s"],
    ]
    return [
        Table(f"Where a step of {parts['engine']} at {size}×{size} px goes", titles, rows, 2),
        Table("What the machine gave small programs in the same run", ["", "peak"], found),
    ]


def _ratios(ratios: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            ratio["what"],
            ratio["against"],
            ratio["quantity"],
            _times(ratio["value"]),
            "" if ratio["target"] is None else f"{_times(ratio['target'])}: {_met(ratio['met'])}",
        ]
        for ratio in ratios
    ]
    return Table("Ratios", ["what", "takes less than", "of", "times less", "target"], rows, 3)


def _limits(limits: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            each["what"],
            _mb(each["bytes"]),
            "" if each["limit"] is None else f"{_mb(each['limit'])}: {_met(each['met'])}",
        ]
        for each in limits
    ]
    return Table("Limits", ["whole process", "MB", "limit, MB"], rows)


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _time_row(name: str, seconds: Mapping[str, float], least: float) -> list[str]:
    shown = [_ms(seconds[key]) for key in ("median", "least", "most")]
    return [name, *shown, _times(seconds["median"] / least)]


def _memory_row(case: Mapping[str, Any]) -> list[str]:
    picture = f"{case['width']}×{case['height']}"
    peak = _mb(case["peak"]) if "peak" in case else ""
    return [case["engine"], picture, _mb(case["growth"]), peak, _ms(case["seconds"])]


def _kind(name: str) -> str:
    return "step" if name.endswith("step") else "forward"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f}"


def _mb(count: float) -> str:
    return f"{count / MB:.0f}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}×"
