"""Who is told that kernels will be compiled: a wait which nobody asked for.

Apart from the kernels, so that a program can ask to be told before it loads them.
"""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[], None]] = []


def before_compiling(listener: Callable[[], None]) -> None:
    """Has a function called once, when first a kernel is needed that has to be compiled.

    It may compile kernels itself, to show how far that is. It is called on whatever thread needs
    the kernel.
    """
    _listeners.append(listener)


def tell_of_compiling() -> None:
    """Calls whoever asked to be told, and forgets them."""
    while _listeners:
        _listeners.pop()()
