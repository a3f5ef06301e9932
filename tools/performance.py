"""Measures again what docs/performance.md shows, and writes it there, between its markers.

python tools/performance.py docs/performance.md                    # all of it: about half an hour
python tools/performance.py docs/performance.md --only kernels,step
python tools/performance.py docs/performance.md --peer-python larq/bin/python

Run it on a machine that does nothing else; what other programs took is written beside the figures.
Each section is written as soon as it is measured.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from bitbrush.bench.tables import Table, kernel_tables, machine_line, paint_tables, step_tables

CONTENT = Path("build/demo/coffee.png")
WIDE = Path("build/demo/wide.png")
"""The same with its upper and lower border cut off: 16:9, as screens are."""

PEER = "$PEER_PYTHON"
"""What a document calls the interpreter of the others' environment."""


@dataclass(frozen=True)
class Section:
    """A part of the document.

    Attributes:
        command: of `bitbrush bench`, without the words that depend on the machine.
        peers: whether others are compared with.
        paints: whether a CONTENT has to be named.
        wide: whether that is to be 16:9.
        tables: what makes tables of its result.
    """

    command: str
    tables: Callable[[Mapping[str, Any]], Sequence[Table]]
    peers: bool = False
    paints: bool = False
    wide: bool = False

    def words(self, threads: int, peer: str | None, content: str) -> list[str]:
        """The words of the command."""
        kind, *rest = self.command.split()
        words = ["bitbrush", "bench", kind, *([content] if self.paints else []), *rest]
        words += ["--threads", str(threads)]
        return words + (["--peer-python", peer] if self.peers and peer is not None else [])


SECTIONS = {
    "kernels": Section("kernels", kernel_tables, peers=True),
    "step": Section("step --sizes 256,512,1024,2048,3840x2160", step_tables, peers=True),
    "step-quickbrush": Section("step quickbrush --sizes 256,512,1024,2048", step_tables),
    "paint": Section(
        "paint brushstrokes --size 512 --against float,vgg19", paint_tables, paints=True
    ),
    "paint-large": Section(
        "paint brushstrokes --size 3840 --against none", paint_tables, paints=True, wide=True
    ),
}


def renewed(text: str, name: str, body: str) -> str:
    """A document with what is between the markers of a section replaced.

    Raises:
        ValueError: it has no such markers, or they are out of order.
    """
    first, last = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"there is no {first} with {last} after it")
    return f"{before}{begin}\n{body}\n{end}{after}"


def section_body(section: Section, shown: Sequence[str], result: Mapping[str, Any]) -> str:
    """The command, the machine and the tables, in Markdown.

    Args:
        shown: the words of the command, as they are to be read.
    """
    # A variable of the shell is not to be quoted.
    command = " ".join(word if word == PEER else shlex.quote(word) for word in shown)
    parts = [f"```bash\n{command}\n```", f"On {machine_line(result)}."]
    return "\n\n".join([*parts, *(table.markdown() for table in section.tables(result))])


def _cut(content: Path) -> Path:
    """The file of a picture's middle, as high as 9/16 of its width."""
    with Image.open(content) as picture:
        width, height = picture.width, picture.width * 9 // 16
        top = max(picture.height - height, 0) // 2
        WIDE.parent.mkdir(parents=True, exist_ok=True)
        picture.crop((0, top, width, top + height)).save(WIDE)
    return WIDE


def _measured(words: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what docs/performance.md shows.")
    parser.add_argument("file", type=Path, help="the document")
    parser.add_argument("--only", help=f"sections, with commas, of: {', '.join(SECTIONS)}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-python", help="as of bitbrush bench")
    parser.add_argument("--content", type=Path, default=CONTENT, help="the picture to paint")
    parser.add_argument("--repetitions", type=int, help="other than the usual ones, for a trial")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(SECTIONS)
    for name in names:
        if name not in SECTIONS:
            sys.exit(f"no section {name!r}; there are: {', '.join(SECTIONS)}")
        section = SECTIONS[name]
        more = []
        if given.repetitions is not None and not section.paints:
            more = ["--repetitions", str(given.repetitions)]
        content = _cut(given.content) if section.wide else given.content
        words = section.words(given.threads, given.peer_python, str(content)) + more
        # Absolute paths are those of one machine.
        path = content.name if content.is_absolute() else str(content)
        shown = section.words(given.threads, given.peer_python and PEER, path) + more
        print(" ".join(shown), file=sys.stderr)
        try:
            body = section_body(section, shown, _measured(words))
            text = given.file.read_text(encoding="utf-8")
            given.file.write_text(renewed(text, name, body), encoding="utf-8")
        except (OSError, ValueError) as error:
            sys.exit(f"{given.file}: {error}")
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)


if __name__ == "__main__":
    main()
