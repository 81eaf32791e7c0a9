"""Values of options that need no conversion are not converted.

Typer (0.25 and later) builds a validator for every option that has a value, also for a default, and imports pydantic
for the first of them: a fifth of what a command takes to start. A text that stays a text, a default of the right
type and a path need none. Where Typer works in another way, nothing is spared, and nothing else changes.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin

_CHECKS = ("parser", "click_type", "min", "max", "formats")  # of an option, beside its type
_PATH_CHECKS = ("exists", "writable", "resolve_path", "path_type")


def spare_conversion(parameters: Iterable[Any]) -> None:
    """Let Typer's parameters take values of the right type as they are."""
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        if descriptor is None or getattr(parameter, "_runtime_param", parameter) is not None:
            continue
        info, kind = descriptor.parameter_info, _kind(descriptor.annotation)
        if kind is not None and hasattr(info, "parser"):
            parameter._runtime_param = _Plain(kind, info)


class _Plain:
    """Stands in for Typer's conversion of one parameter, and gives way to it for what is to be converted."""

    def __init__(self, kind: tuple[type, bool], info: Any) -> None:
        self._type, self._is_list = kind
        self._info = info

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a parameter's value."""
        is_multi_value = param.multiple or param.nargs == -1
        if value is None:
            return () if is_multi_value else None
        if is_multi_value == self._is_list:
            if type(value) is self._type and value == param.default:  # checks are for what was typed
                return value
            values = [self._plain(entry) for entry in (value if self._is_list else [value])]
            if None not in values:
                return values if self._is_list else values[0]
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)

    def _plain(self, value: Any) -> Any:
        """Return the value in its type; None where Typer is to convert it."""
        if self._type is Path and isinstance(value, str):
            return self._path(value)
        if isinstance(value, Enum):
            return value if isinstance(value, self._type) else None
        if type(value) is not self._type or any(getattr(self._info, name, None) is not None for name in _CHECKS):
            return None
        return value

    def _path(self, value: str) -> Path | None:
        is_checked = any(getattr(self._info, name, None) for name in (*_PATH_CHECKS, "parser", "click_type"))
        takes_any = getattr(self._info, "file_okay", True) and getattr(self._info, "dir_okay", True)
        path = Path(value)
        return path if not is_checked and takes_any and _is_readable(path) else None


def _is_readable(path: Path) -> bool:
    """Whether nothing is there that could not be read; a name that is too long is no file."""
    try:
        return not path.exists() or os.access(path, os.R_OK)
    except OSError:
        return True


def _kind(annotation: Any) -> tuple[type, bool] | None:
    """Return the type of a value and whether there is a list of them; None for all that is not so simple."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [entry for entry in get_args(annotation) if entry is not type(None)]
        return _kind(kinds[0]) if len(kinds) == 1 else None
    if get_origin(annotation) is list:
        inner = _kind(get_args(annotation)[0])
        return (inner[0], True) if inner is not None and not inner[1] else None
    is_simple = isinstance(annotation, type) and (
        annotation in (str, int, float, bool, Path) or issubclass(annotation, Enum)
    )
    return (annotation, False) if is_simple else None
