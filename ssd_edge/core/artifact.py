"""Files of ours in JSON: a format tag, strict types, and one sentence for whatever is damaged, foreign or newer."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ssd_edge.core.errors import ArtefactError

T = TypeVar("T")
_TAG = re.compile(r"(ssd-edge/[a-z-]+/)(\d+)")


@dataclass(frozen=True)
class Format:
    """What a kind of file says of itself.

    Attributes:
        tag: in its field ``format``, e.g. ``ssd-edge/ranges/2``: the kind and the version of its layout.
        what: the kind in words, without an article, e.g. ``table of ranges``.
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
        ArtefactError: it is missing, damaged, foreign, or of another version.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ArtefactError(
            f"{path} cannot be read", got=error.strerror or str(error), wanted=f"a {form.what}", do=form.do
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
        ArtefactError: the text is damaged, foreign, or of another version.
    """
    fields = _object(text, form, origin)
    _check_tag(fields.get("format"), form, origin)
    names = {entry.name for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if "format" not in names:
        del fields["format"]
    for fault, odd in ("unknown", fields.keys() - names), ("missing", names - fields.keys() - optional):
        if odd:
            raise _damaged(form, origin, f"{fault} field {min(odd)!r}")
    for name, read in (parts or {}).items():
        if name in fields:
            fields[name] = read(fields[name])
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.MsgspecError, ArtefactError, ValueError, RecursionError) as error:
        raise _damaged(form, origin, str(error)) from error


def _object(text: bytes | str, form: Format, origin: str) -> dict[str, Any]:
    """Return the fields of a JSON object; json and not msgspec reads it, as an infinity may stand in a spec."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(form, origin, f"{type(error).__name__}: {error}") from error
    if not isinstance(fields, dict):
        raise _damaged(form, origin, f"a JSON {type(fields).__name__}")
    return fields


def _check_tag(found: object, form: Format, origin: str) -> None:
    """Raise ArtefactError where a file is of another kind or version."""
    if found == form.tag:
        return
    mine, other = _TAG.fullmatch(form.tag), _TAG.fullmatch(found) if isinstance(found, str) else None
    do = form.do
    if mine and other and mine[1] == other[1] and int(other[2]) > int(mine[2]):
        do = f"It was written by a newer ssd-edge: update this one. Or: {form.do[:1].lower()}{form.do[1:]}"
    raise ArtefactError(
        f"{origin} is not a {form.what} that this version reads", got=repr(found)[:60], wanted=form.tag, do=do
    )


def _damaged(form: Format, origin: str, got: str) -> ArtefactError:
    return ArtefactError(f"{origin} is a damaged {form.what}", got=got[:300], wanted=form.tag, do=form.do)
