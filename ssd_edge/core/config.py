"""Options of a workflow: one frozen config, or the config's fields as keywords, never both."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from ssd_edge.core.errors import InputError

C = TypeVar("C")
E = TypeVar("E", bound=Enum)
AnyPath = str | PathLike[str]
"""A path as functions accept it."""
NMS_LIMITS: dict[str, tuple[float, float]] = {
    "score_threshold": (0.0, 0.9999),
    "iou_threshold": (0.0001, 1.0),
    "top_k": (1, 4096),
    "keep_top_k": (1, 3840),
    "max_candidates": (1, 3840),
}
"""Least and largest value that a config may have for each field of NmsSpec, which checks them together."""


def config_from(kind: type[C], config: C | None, options: Mapping[str, Any]) -> C:
    """Return the config that a call means.

    Args:
        kind: a frozen dataclass whose fields all have defaults.
        config: as the caller gave it; its fields are converted and checked as the keywords are.
        options: fields by keyword; the values of enum members and paths as text are converted.

    Raises:
        InputError: both are given, an option has no such value, or it has the wrong type.
        TypeError: there is no such option.
    """
    if config is not None and not isinstance(config, kind):
        raise InputError(
            "config= has the wrong type",
            got=type(config).__name__,
            wanted=kind.__name__,
            do=f"Pass a {kind.__name__}, or keywords.",
        )
    if config is not None and options:
        raise InputError(
            f"options are given twice: config= and {', '.join(sorted(options))}",
            wanted="only one of the two",
            do=f"To combine them: dataclasses.replace(config, {sorted(options)[0]}=...)",
        )
    if config is not None:
        return _rebuilt(config)
    hints = typing.get_type_hints(kind)
    names = {entry.name for entry in dataclasses.fields(kind) if entry.init}  # type: ignore[arg-type]
    for name in options:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TypeError(f"{kind.__name__} has no field {name!r}{hint}")
    return kind(**{name: _converted(name, value, hints[name]) for name, value in options.items()})


def _rebuilt(config: C, place: str = "") -> C:
    """Return a dataclass whose fields, and theirs, are as their types want them; itself where they are already.

    Args:
        config: of a frozen dataclass, which checks no type itself.
        place: what the names in errors begin with.
    """
    hints = typing.get_type_hints(type(config))
    changed = {}
    for entry in dataclasses.fields(config):  # type: ignore[arg-type]
        given = getattr(config, entry.name)
        value = _converted(f"{place}{entry.name}", given, hints[entry.name]) if entry.init else given
        if value is not given:
            changed[entry.name] = value
    return dataclasses.replace(config, **changed) if changed else config  # type: ignore[type-var]


def _converted(name: str, value: Any, hint: Any) -> Any:
    """Return a value as its field's type wants it."""
    kinds = _kinds(hint)
    if value is None and type(None) in kinds:
        return None
    enums = [kind for kind in kinds if _is_class(kind) and issubclass(kind, Enum)]
    if enums and not isinstance(value, tuple(enums)):
        return _member(name, value, list(enums[0]))
    origins = {typing.get_origin(kind) for kind in kinds}
    if isinstance(value, (str, PathLike)) and {Path, str} & set(kinds):
        return _path(value, kinds)
    for sequence in (tuple, frozenset):
        if sequence in origins and isinstance(value, (list, tuple, set, frozenset)):
            inner = next(typing.get_args(kind) for kind in kinds if typing.get_origin(kind) is sequence)
            return _converted_each(name, value, sequence, inner)
    literals = [choice for kind in kinds if typing.get_origin(kind) is Literal for choice in typing.get_args(kind)]
    if literals:
        return _member(name, value, literals)
    plain = tuple(kind for kind in kinds if _is_class(kind))
    if {tuple, frozenset} & origins and not isinstance(value, plain):
        raise InputError(f"{name} has the wrong type", got=f"{type(value).__name__} {value!r}", wanted="a list")
    return _checked(name, value, kinds)


def _path(value: str | PathLike[str], kinds: tuple[Any, ...]) -> str | PathLike[str]:
    """Return text or a path as its field holds it: one that takes any path holds it as it was given."""
    if Path in kinds:
        return value if isinstance(value, Path) else Path(value)
    return value if PathLike[str] in kinds else os.fspath(value)


def _converted_each(name: str, values: Collection[Any], sequence: type, inner: tuple[Any, ...]) -> Any:
    """Return the values as a tuple or frozenset; of a tuple of fixed length also their number is checked."""
    is_fixed = sequence is tuple and inner[-1] is not Ellipsis
    if is_fixed and len(values) != len(inner):
        got = ", ".join(map(str, values))
        raise InputError(f"{name} has the wrong length", got=f"{len(values)}: {got}", wanted=f"{len(inner)} values")
    kinds = inner if is_fixed else inner[:1] * len(values)
    made = [_converted(name, value, kind) for value, kind in zip(values, kinds, strict=True)]
    is_same = isinstance(values, sequence) and all(new is old for new, old in zip(made, values, strict=True))
    return values if is_same else sequence(made)


def _is_class(kind: Any) -> bool:
    """Whether it is a class itself: Python 3.10 takes ``tuple[int, ...]`` for one."""
    return isinstance(kind, type) and typing.get_origin(kind) is None


def _checked(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    """Return the value where it is of one of the plain types; a whole number becomes a float."""
    plain = tuple(kind for kind in kinds if _is_class(kind))
    if len(plain) < len(kinds) or not plain:
        return value
    if float in plain and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, plain) and (bool in plain or not isinstance(value, bool)):
        return _rebuilt(value, f"{name}.") if dataclasses.is_dataclass(value) else value
    wanted = " or ".join(kind.__name__ for kind in plain if kind is not type(None))
    raise InputError(f"{name} has the wrong type", got=f"{type(value).__name__} {value!r}", wanted=wanted)


def _member(name: str, value: Any, members: Sequence[Any]) -> Any:
    """Return the member of an enum, or the choice of a literal, that a value stands for."""
    values = [member.value if isinstance(member, Enum) else member for member in members]
    if value not in values:
        raise InputError(
            f"{name} is not one of the allowed values", got=repr(value), wanted=", ".join(map(repr, values))
        )
    return members[values.index(value)]


def choice_of(name: str, value: Any, kind: type[E]) -> E:
    """Return the member of an enum that a value stands for, itself or by its text.

    Raises:
        InputError: there is none.
    """
    member: E = value if isinstance(value, kind) else _member(name, value, list(kind))
    return member


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union, or the one type."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return tuple(kind for entry in typing.get_args(hint) for kind in _kinds(entry))
    return (hint,)


def check_limits(config: Any, limits: Mapping[str, tuple[float, float]]) -> None:
    """Raise InputError where a field that is not None is no number, or lies outside of its (least, most)."""
    for name, (least, most) in limits.items():
        value = getattr(config, name)
        if value is None:
            continue
        check_number(name, value)
        if not least <= value <= most:
            bounds = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
            raise InputError(f"{name} is out of range", got=f"{value!s:.40}", wanted=bounds)


def shown_number(value: float) -> str:
    """Return a number for an error; a whole one that no float can hold, as a file may name it, is cut short."""
    try:
        return f"{value:g}"
    except OverflowError:
        return f"{value!s:.20}…"


def check_number(name: str, value: Any, *, whole: bool = False) -> None:
    """Raise InputError where a value is no number, of Python's or NumPy's, or not a whole one where that is wanted."""
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        wanted = "a whole number" if whole else "a number"
        raise InputError(f"{name} has the wrong type", got=f"{type(value).__name__} {value!r}", wanted=wanted)
