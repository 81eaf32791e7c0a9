"""The options of a benchmark are the parameters of its ``main``."""

from __future__ import annotations

import argparse
import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any


def run(main: Callable[..., int | None]) -> None:
    """Call ``main`` with what was typed, and end the process with what it returns.

    Parameters before ``*`` are positional, those behind it are options; defaults and types are those of the function,
    ``tuple[int, ...]`` takes several values, ``X | None`` one or none. The help is the text of the module.
    """
    module = sys.modules[main.__module__]
    name = module.__spec__.name if module.__spec__ else module.__name__
    parser = argparse.ArgumentParser(
        f"python -m {name.removesuffix('.__main__')}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hints = typing.get_type_hints(main)
    for parameter in inspect.signature(main).parameters.values():
        _add(parser, parameter, hints[parameter.name])
    found = vars(parser.parse_args())
    positional = [
        found.pop(name)
        for name, parameter in inspect.signature(main).parameters.items()
        if parameter.kind is not parameter.KEYWORD_ONLY
    ]
    sys.exit(main(*positional, **found))


def _add(parser: argparse.ArgumentParser, parameter: inspect.Parameter, hint: Any) -> None:
    is_option = parameter.kind is parameter.KEYWORD_ONLY
    is_needed = parameter.default is parameter.empty
    settings: dict[str, Any] = {} if is_needed else {"default": parameter.default}
    if hint is bool:
        settings["action"] = "store_true"
    elif typing.get_origin(hint) is tuple:
        settings |= {**_kind(typing.get_args(hint)[0]), "nargs": "+" if is_option or is_needed else "*"}
    else:
        settings |= _kind(hint)
        if not is_option and not is_needed:
            settings["nargs"] = "?"
    if is_option and is_needed:
        settings["required"] = True
    name = parameter.name
    parser.add_argument(f"--{name.replace('_', '-')}" if is_option else name, **settings)


def _kind(hint: Any) -> dict[str, Any]:
    """How one value of a type is read."""
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if typing.get_origin(hint) is typing.Literal:
        return {"choices": kinds}
    return {"type": kinds[0] if kinds else hint}
