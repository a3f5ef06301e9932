"""`python -m bitbrush` is `bitbrush`."""

from .cli.main import main

main()
