"""The options of `paint`, made from the fields of `PaintSettings`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from ..errors import InputError
from ..style.settings import PaintSettings, make_settings, option_name

_TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}


def _parameter(field: dataclasses.Field[Any]) -> inspect.Parameter:
    kind = str(field.type).split(" | ")[0]
    choices = field.metadata["choices"]
    text = field.metadata["help"][0].upper() + field.metadata["help"][1:] + "."
    if choices:
        text += f" One of: {', '.join(choices)}."
    # A tuple is written with commas, and an empty one left out.
    value_type = _TYPES.get(kind, str)
    default = None if field.default == () else field.default
    option = option_name(field.name)
    names = f"{option}/{option.replace('--', '--no-', 1)}" if kind == "bool" else option
    metavar = {"str": "TEXT", "int": "N", "float": "X", "bool": None}.get(kind, "X,…")
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[
            value_type if default is not None else value_type | None,
            typer.Option(names, help=text, metavar=metavar),
        ],
    )


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command one option for each painting setting.

    The command's parameter `settings` receives them as `PaintSettings`.
    """
    own = inspect.signature(command, eval_str=True)
    kept = [parameter for name, parameter in own.parameters.items() if name != "settings"]
    fields = dataclasses.fields(PaintSettings)

    def wrapper(**values: Any) -> None:
        chosen = {field.name: values.pop(field.name) for field in fields}
        command(settings=_settings(chosen), **values)

    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
    parameters = [*keyword, *map(_parameter, fields)]
    wrapper.__name__ = command.__name__
    wrapper.__doc__ = command.__doc__
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def _settings(values: Mapping[str, Any]) -> PaintSettings:
    plain = dict(values)
    text = plain["style_weights"]
    try:
        parts = () if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--style-weights are numbers with commas between, not {text!r}") from None
    plain["style_weights"] = parts
    return make_settings(plain)
