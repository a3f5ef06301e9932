"""The application that every command joins, and what holds for all of them.

Exit codes: 0 done, 2 bad input or usage, 1 our own fault, 130 after Ctrl-C, 143 after SIGTERM.
Whatever a user can cause is one line on stderr; `--debug` adds the traceback.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer
import typer.core
import typer.main

from .. import __version__
from ..errors import BitbrushError, InputError

DONE, OUR_FAULT, BAD_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. Whoever saves on Ctrl-C then saves now too."""


@dataclass
class Options:
    """What may be said before or after any command.

    Attributes:
        quiet: print nothing but results and errors.
        debug: show the traceback of an error.
    """

    quiet: bool = False
    debug: bool = False


options = Options()
"""The options of the command that is running."""


def _set_quiet(value: bool) -> None:
    options.quiet |= value


def _set_debug(value: bool) -> None:
    options.debug |= value


def _print_version(value: bool) -> None:
    if value:
        print(f"bitbrush {__version__}")
        raise typer.Exit


def _global_parameters() -> list[Any]:
    """--quiet, --debug and --version as parameters that any command can take in.

    They are taken from a command of their own, because the class of a parameter and its arguments
    differ between releases of typer, while its way of declaring them does not.
    """
    holder = typer.Typer(add_completion=False)

    @holder.command()
    def declare(
        quiet: Annotated[
            bool,
            typer.Option(
                "--quiet",
                help="Print nothing but results and errors.",
                callback=_set_quiet,
                expose_value=False,
                show_default=False,
            ),
        ] = False,
        debug: Annotated[
            bool,
            typer.Option(
                "--debug",
                help="Show the traceback of an error.",
                callback=_set_debug,
                expose_value=False,
                is_eager=True,
                show_default=False,
            ),
        ] = False,
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                help="Print the version and exit.",
                callback=_print_version,
                expose_value=False,
                is_eager=True,
                show_default=False,
            ),
        ] = False,
    ) -> None: ...

    return list(typer.main.get_command(holder).params)


def _give_parameters(command: Any, parameters: list[Any]) -> None:
    command.params.extend(parameters)
    for below in getattr(command, "commands", {}).values():
        _give_parameters(below, parameters)


# typer brings its own copy of click in newer releases and uses the installed one in older ones;
# this finds the base of their errors in both.
_ClickError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


OUT_OF_MEMORY = "not enough memory; try a smaller --size"


class Group(typer.core.TyperGroup):
    """A group that gives every command the global options, and turns errors into one line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _give_parameters(self, _global_parameters())

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Runs the command line and ends the process with its exit code.

        Args:
            args: what follows the program's name; None takes the process's own.
            prog_name: not used, since every message starts with bitbrush, however it was started.
            extra: settings of the context; those of typer's own error display have no effect.
        """
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = self._run(arguments)
        finally:
            options.quiet = options.debug = False
        sys.exit(code)

    def _run(self, arguments: list[str]) -> int:
        try:
            with self.make_context("bitbrush", arguments) as context:
                self.invoke(context)
            sys.stdout.flush()
        except typer.Exit as end:
            return self._flushed(end.exit_code)
        except KeyboardInterrupt as error:
            code = TERMINATED if isinstance(error, Terminated) else INTERRUPTED
            what = "terminated" if code == TERMINATED else "interrupted"
            # A command that saved what it had says how to go on.
            return fail(f"{what}; {error}" if str(error) else what, code, error)
        except typer.Abort as error:
            return fail("interrupted", INTERRUPTED, error)
        except BrokenPipeError:
            # Whoever read our output, such as `head`, has had enough. That is no failure.
            _drop_output()
            return DONE
        except _ClickError as error:
            return fail(_usage_text(error), BAD_INPUT, error)
        except InputError as error:
            return fail(str(error), BAD_INPUT, error)
        except BitbrushError as error:
            return fail(str(error), OUR_FAULT, error)
        except MemoryError as error:
            return fail(OUT_OF_MEMORY, BAD_INPUT, error)
        except OSError as error:
            _drop_output()
            where = f": {error.filename}" if error.filename else ""
            return fail(f"{error.strerror or error}{where}", BAD_INPUT, error)
        except Exception as error:
            if _is_out_of_memory(error):
                return fail(OUT_OF_MEMORY, BAD_INPUT, error)
            hint = "" if options.debug else "; run again with --debug for the traceback"
            name = type(error).__name__
            return fail(f"unexpected {name}: {error}{hint}", OUR_FAULT, error)
        return DONE

    @staticmethod
    def _flushed(code: int) -> int:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _drop_output()
        except OSError as error:
            _drop_output()
            return fail(str(error.strerror), BAD_INPUT, error)
        return code


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch, which need not be imported for this, got no memory on some device."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return "OutOfMemoryError" in names or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _usage_text(error: Any) -> str:
    text = error.format_message().removesuffix(".")
    context = getattr(error, "ctx", None)
    return f"{text} (see {context.command_path} --help)" if context else text


def _drop_output() -> None:
    """Keeps the interpreter from writing what is left in stdout's buffer at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(text: str, code: int, error: BaseException) -> int:
    """Prints one line (and with --debug the traceback before it); returns the exit code."""
    if options.debug:
        traceback.print_exception(error)
    line = " ".join(part.strip() for part in text.splitlines())
    print(f"bitbrush: {line}", file=sys.stderr)
    return code


def terminate(number: int, frame: object) -> NoReturn:
    """The handler of SIGTERM."""
    raise Terminated


def install_signals() -> None:
    """Makes SIGTERM unwind the program, so that temporary files are removed."""
    signal.signal(signal.SIGTERM, terminate)


app = typer.Typer(
    cls=Group,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def bitbrush() -> None:
    """Neural style transfer painted by binarized neural networks."""
