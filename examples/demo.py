"""Saves the demo photograph, a cup of coffee that comes with scikit-image, as a PNG file.

The photograph is by Rachel Michetti, who released it into the public domain. It lies inside the
scikit-image package; nothing is downloaded.

Usage: python examples/demo.py PHOTOGRAPH.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import skimage.data
from PIL import Image


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/demo.py PHOTOGRAPH.png")
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(skimage.data.coffee()).save(path)


if __name__ == "__main__":
    main()
