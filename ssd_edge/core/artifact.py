"""Files of ours in JSON: a format tag, strict types, and one sentence for whatever is damaged, foreign or newer."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import read_regular
from ssd_edge.core.text_parsers import parse_json

T = TypeVar("T")
_TAG = re.compile(r"(ssd-edge/[a-z-]+/)(\d+)")


@dataclass(frozen=True)
class Format:
    """Format tag and description of a kind of artifact file.

    Attributes:
        tag: in its field ``format``, e.g. ``ssd-edge/ranges/2``: the kind and the version of its layout.
        what: the kind in words, without an article, e.g. ``calibration table``.
        do: how to make such a file anew.
    """

    tag: str
    what: str
    do: str


def read_artifact(
    path: Path,
    kind: type[T],
    form: Format,
    *,
    optional: frozenset[str] = frozenset(),
    parts: Mapping[str, Callable[[Any], Any]] | None = None,
) -> T:
    """Read a file of ours; see :func:`parse_artifact`.

    Raises:
        ArtifactError: it is missing, damaged, foreign, or of another version.
    """
    try:
        text = read_regular(path)
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read ({error.strerror or error})", wanted=f"a {form.what}", do=form.do
        ) from error
    return parse_artifact(text, kind, form, origin=str(path), optional=optional, parts=parts)


def parse_artifact(
    text: bytes | str,
    kind: type[T],
    form: Format,
    *,
    origin: str,
    optional: frozenset[str] = frozenset(),
    parts: Mapping[str, Callable[[Any], Any]] | None = None,
) -> T:
    """Return what the JSON text of a file holds.

    Args:
        text: a JSON object with the field ``format``.
        kind: a dataclass, perhaps with the field ``format``. Other types than it declares are refused at any depth, as
            are fields of the file that are unknown or missing; a whole number is taken for a float, a bool is not.
        form: what the file must say of itself.
        origin: the file, for errors.
        optional: fields that files of this version may lack; they have defaults.
        parts: readers of single fields that have a format of their own.

    Raises:
        ArtifactError: the text is damaged, foreign, or of another version.
    """
    fields = _object(text, form, origin)
    _check_tag(fields.get("format"), form, origin)
    names = {entry.name for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if "format" not in names:
        del fields["format"]
    missing = names - fields.keys() - optional
    if missing:
        raise _damaged(form, origin, f"missing field {min(missing)!r}")
    for name, read in (parts or {}).items():
        if name in fields:
            fields[name] = read(fields[name])
    odd = next(_unknown_fields({name: fields[name] for name in fields if name not in (parts or {})}, kind, ""), None)
    if odd is not None:
        raise _damaged(form, origin, f"unknown field {odd!r}")
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.MsgspecError, ArtifactError, ValueError, RecursionError) as error:
        raise _damaged(form, origin, str(error)) from error


def _object(text: bytes | str, form: Format, origin: str) -> dict[str, Any]:
    """Return the fields of a JSON object; json and not msgspec reads it, as an infinity may stand in a spec."""
    try:
        fields = parse_json(text)
    except ValueError as error:
        raise _damaged(form, origin, f"text that is not valid JSON ({error})") from error
    if not isinstance(fields, dict):
        raise _damaged(form, origin, f"a JSON {type(fields).__name__}")
    return fields


def _check_tag(found: object, form: Format, origin: str) -> None:
    """Raise ArtifactError where a file is of another kind or version."""
    if found == form.tag:
        return
    mine, other = _TAG.fullmatch(form.tag), _TAG.fullmatch(found) if isinstance(found, str) else None
    do = form.do
    if mine and other and mine[1] == other[1] and int(other[2]) > int(mine[2]):
        do = f"It was written by a newer ssd-edge: update ssd-edge. Or: {form.do[:1].lower()}{form.do[1:]}"
    raise ArtifactError(f"{origin} is not a {form.what} of this version", got=repr(found)[:60], wanted=form.tag, do=do)


def _unknown_fields(value: object, wanted: Any, place: str) -> Iterator[str]:
    """Yield the fields that no dataclass has, at any depth: msgspec passes over them."""
    if isinstance(value, dict) and dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        hints = _hints(wanted)
        for name, entry in value.items():
            if name in hints:
                yield from _unknown_fields(entry, hints[name], f"{place}{name}.")
            else:
                yield f"{place}{name}"
    elif isinstance(value, (dict, list)):
        kinds = [kind for kind in get_args(wanted) if kind is not Ellipsis]
        for kind in kinds:
            entries = value.values() if isinstance(value, dict) else value
            if dataclasses.is_dataclass(kind) or get_args(kind):
                for entry in entries if get_origin(wanted) not in (Union, UnionType) else (value,):
                    yield from _unknown_fields(entry, kind, place)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _damaged(form: Format, origin: str, got: str) -> ArtifactError:
    return ArtifactError(f"{origin} is a damaged {form.what}", got=got[:300], wanted=form.tag, do=form.do)
