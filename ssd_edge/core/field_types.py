"""Are the fields of a dataclass of the types that it declares? JSON may hold anything, and Python does not look."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def refuse_other_types(made: object) -> None:
    """Raise TypeError where a field of a dataclass, at any depth, is of another type than it is declared with.

    Known are numbers, texts, truths, None, literals, tuples, mappings, unions and dataclasses of these. A whole number
    is a float, too, as JSON does not tell them apart; a truth is no number.
    """
    fault = next(_faults(made, type(made), ""), None)
    if fault is not None:
        raise TypeError(fault)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _faults(value: object, wanted: Any, place: str) -> Iterator[str]:
    origin = get_origin(wanted)
    if is_dataclass(wanted) and isinstance(wanted, type) and isinstance(value, wanted):
        hints = _hints(wanted)
        for field in fields(wanted):
            yield from _faults(getattr(value, field.name), hints[field.name], f"{place}.{field.name}".lstrip("."))
    elif origin in (Union, types.UnionType):
        if all(next(_faults(value, kind, place), None) for kind in get_args(wanted)):
            yield _fault(value, wanted, place)
    elif origin is Literal:
        if value not in get_args(wanted):
            yield _fault(value, wanted, place)
    elif origin is tuple:
        yield from _of_tuple(value, wanted, place)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _of_mapping(value, wanted, place)
    elif type(value) is not wanted and not (wanted is float and type(value) is int):
        yield _fault(value, wanted, place)


def _of_tuple(value: object, wanted: Any, place: str) -> Iterator[str]:
    kinds = get_args(wanted)
    if isinstance(value, tuple) and kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if not isinstance(value, tuple) or len(value) != len(kinds):
        yield _fault(value, wanted, place)
        return
    for number, (entry, kind) in enumerate(zip(value, kinds, strict=True)):
        if type(entry) is not kind or is_dataclass(kind):  # of thousands of counts hardly one needs a closer look
            yield from _faults(entry, kind, f"{place}[{number}]")


def _of_mapping(value: object, wanted: Any, place: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _fault(value, wanted, place)
        return
    of_key, of_value = get_args(wanted)
    for name, entry in value.items():
        yield from _faults(name, of_key, f"name of {place}")
        yield from _faults(entry, of_value, f"{place}[{name!r}]")


def _fault(value: object, wanted: Any, place: str) -> str:
    return f"{place} is {_short(value)}, not {getattr(wanted, '__name__', str(wanted))}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
