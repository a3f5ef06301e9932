"""The options of `paint`: a preset, and those made from the fields of `PaintSettings`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from ..style.settings import PaintSettings, make_settings, option_name

if TYPE_CHECKING:
    from ..presets import Preset

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


PRESET = inspect.Parameter(
    "preset",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="A look to begin from: a name (see bitbrush presets) or the path of a .toml "
            "file. Settings that are given win over it.",
            metavar="NAME",
        ),
    ],
)
CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the option --preset, and one for each painting setting.

    The command's parameter `settings` receives them as `PaintSettings`, in which the preset is
    already, and `preset` what of it is left to do (crop, finish, print), or None.
    """
    own = inspect.signature(command, eval_str=True).parameters
    kept = [own[name] for name in own if name not in ("settings", "preset")]
    fields = dataclasses.fields(PaintSettings)

    def wrapper(context: typer.Context, **values: Any) -> None:
        chosen = {field.name: values.pop(field.name) for field in fields}
        asked = values.pop("preset")
        settings, preset = _settings(chosen), None
        if asked is not None:
            settings, preset = _with_preset(asked, settings, _explicit(context, chosen))
        command(settings=settings, preset=preset, **values)

    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
    parameters = [CONTEXT, *keyword, PRESET, *map(_parameter, fields)]
    wrapper.__name__ = command.__name__
    wrapper.__doc__ = command.__doc__
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def _explicit(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Those of the options that the user gave, be it with the value of their default."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return [name for name, source in sources.items() if source and source.name != "DEFAULT"]


def _with_preset(
    asked: str, given: PaintSettings, explicit: Iterable[str]
) -> tuple[PaintSettings, Preset]:
    from ..presets import load_preset

    return load_preset(asked).with_explicit({name: getattr(given, name) for name in explicit})


def _settings(values: Mapping[str, Any]) -> PaintSettings:
    plain = dict(values)
    text = plain["style_weights"]
    try:
        parts = () if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--style-weights are numbers with commas between, not {text!r}") from None
    plain["style_weights"] = parts
    return make_settings(plain)
