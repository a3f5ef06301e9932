"""Puts paintings of a laboratory on one sheet, for a document.

    python tools/lesson_sheet.py runs/tv "Total variation" -o docs/tv.jpg

The rows and columns are those of the laboratory's report; `--row` keeps those whose name has the
regular expression in it, `--column` those of exactly that name, in the order given. `--turned`
makes them columns and rows. Where there is one row, its name is left out.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from pyarrow import parquet

from bitbrush.images import read_image, write_image
from bitbrush.lab.sheet import contact_sheet


def chosen(
    table: list[dict[str, Any]], sheet: str, row: str, columns: list[str]
) -> list[list[dict[str, Any]]]:
    """The paintings of a sheet, row by row."""
    own = [each for each in table if each["sheet"] == sheet and re.search(row, each["row"])]
    if not own:
        known = ", ".join(sorted({each["sheet"] for each in table}))
        raise typer.BadParameter(f"there is no such sheet or row; sheets: {known}")
    names = columns or list(dict.fromkeys(each["column"] for each in own))
    rows = list(dict.fromkeys(each["row"] for each in own))
    at = {(each["row"], each["column"]): each for each in own}
    return [[at[name, column] for column in names if (name, column) in at] for name in rows]


def main(
    folder: Annotated[Path, typer.Argument(help="Of a laboratory.")],
    sheet: Annotated[str, typer.Argument(help="Title of a sheet of its report.")],
    output: Annotated[Path, typer.Option("-o", help="The picture that is written.")],
    row: Annotated[str, typer.Option(help="In the names of the rows wanted.")] = "",
    column: Annotated[list[str], typer.Option(help="A column; all if none is named.")] = [],  # noqa: B006
    turned: Annotated[bool, typer.Option(help="Put each column into a row.")] = False,
    height: Annotated[int, typer.Option(help="Of each painting, in pixels.")] = 140,
) -> None:
    """Make the sheet."""
    table = parquet.read_table(folder / "results.parquet").to_pylist()
    found = chosen(table, sheet, row, column)
    is_one = len(found) == 1
    if turned:
        found = [[each for each in strip if each is not None] for strip in zip_longest(*found)]
    strips = [
        [
            (
                read_image(folder / each["file"]).rgb,
                ("" if is_one else f"{each['row'].split(', ')[0]}, ")
                + each["column"].replace("weight ", ""),
            )
            for each in strip
        ]
        for strip in found
    ]
    write_image(contact_sheet(strips, height), output, {"command": "lesson_sheet"})


if __name__ == "__main__":
    typer.run(main)
