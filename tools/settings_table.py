"""Writes the tables of settings into a document, between its markers.

python tools/settings_table.py             # prints them
python tools/settings_table.py README.md   # renews them in the file
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from bitbrush.style.defaults import DEFAULTS, PaintDefaults
from bitbrush.style.settings import PaintSettings, option_name

BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"


def tables() -> str:
    """The settings, and what is chosen for each network where they leave it open, in Markdown."""
    own = [field.name for field in dataclasses.fields(PaintDefaults)]
    return "\n".join(
        [
            *_table(("option", "default", "meaning"), [_row(f, own) for f in _fields()]),
            "",
            "What suits each network:",
            "",
            *_table(("network", *(f"`{option_name(name)}`" for name in own)), _network_rows()),
        ]
    )


def renewed(text: str) -> str:
    """A document with what is between its markers replaced.

    Raises:
        ValueError: it has no such markers, or they are out of order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no {BEGIN} with {END} after it")
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def _fields() -> tuple[dataclasses.Field[object], ...]:
    return dataclasses.fields(PaintSettings)


def _row(field: dataclasses.Field[object], of_network: Sequence[str]) -> list[str]:
    option, meaning = option_name(field.name), field.metadata["help"]
    if isinstance(field.default, bool):
        option += f"`, `{option.replace('--', '--no-', 1)}"
        default = "yes" if field.default else "no"
    elif field.name in of_network:
        default = "see below"
    elif field.default in (None, ()):
        # Such a help text ends in what is then taken.
        meaning, _, taken = meaning.rpartition("; ")
        meaning, default = (meaning, taken) if meaning else (taken, "the network's own")
    else:
        default = f"`{field.default}`"
    if field.metadata["choices"]:
        meaning += " (" + ", ".join(f"`{choice}`" for choice in field.metadata["choices"]) + ")"
    return [f"`{option}`", default, meaning]


def _network_rows() -> list[list[str]]:
    """One row for each set of defaults, since relatives among the networks share theirs."""
    networks: dict[PaintDefaults, list[str]] = {}
    for name, defaults in DEFAULTS.items():
        networks.setdefault(defaults, []).append(name)
    return [
        [", ".join(names), *(_spaced(value) for value in dataclasses.astuple(defaults))]
        for defaults, names in networks.items()
    ]


def _spaced(value: object) -> str:
    # A narrow page can only break a line at a space.
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace(",", ", ")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [titles, ["---"] * len(titles), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description="Tables of the settings, in Markdown.")
    parser.add_argument("file", type=Path, nargs="?", help="the document to renew them in")
    file = parser.parse_args().file
    if file is None:
        print(tables())
        return
    try:
        file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"{file}: {error}")


if __name__ == "__main__":
    main()
