"""The one door to parsers of JSON, TOML and XML: whatever they raise at a hostile text is one ValueError.

They raise RecursionError at what is nested deeply, MemoryError at what is large, and ValueErrors of several kinds.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from xml.etree import ElementTree

from ssd_edge.core.limits import how_to_raise, limit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ANY_DEPTH = 1 << 16  # characters: what they can nest does no harm


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is none, or is nested too deeply, or holds more lists and objects than any label file.
    """
    begun = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    _check_count(begun, "lists and objects")
    try:
        return json.loads(text)
    except (RecursionError, MemoryError) as error:
        raise ValueError(str(error) or "too large") from error


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text says.

    Raises:
        ValueError: it is none, or is nested too deeply.
    """
    try:
        fields: dict[str, Any] = tomllib.loads(text)
    except (RecursionError, MemoryError) as error:
        raise ValueError(str(error) or "too large") from error
    return fields


def _check_count(count: int, of_what: str) -> None:
    if count > limit("containers"):
        most, do = limit("containers"), how_to_raise("containers", count)
        raise ValueError(f"{count} {of_what}, more than {most}. {do}")


class _Bounded(ElementTree.TreeBuilder):
    """Builds a tree that is not deeper than the limit ``nesting``."""

    def __init__(self) -> None:
        super().__init__()
        self._depth, self._deepest = 0, limit("nesting")

    def start(self, tag: str, attributes: dict[str, str], /) -> ElementTree.Element:
        self._depth += 1
        if self._depth > self._deepest:
            do = how_to_raise("nesting", 10 * self._deepest)
            raise ValueError(f"more than {self._deepest} nested elements. {do}")
        return super().start(tag, attributes)

    def end(self, tag: str, /) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def parse_xml(text: str) -> ElementTree.Element:
    """Return the root of an XML text, which should declare no entities.

    Raises:
        ValueError: it is not well-formed, is nested too deeply, or has more elements than any label file.
    """
    _check_count(text.count("<"), "tags")
    parser = ElementTree.XMLParser(target=_Bounded()) if len(text) > _ANY_DEPTH else ElementTree.XMLParser()  # noqa: S314 - the caller refuses document types and entities; depth and number are bounded
    try:
        parser.feed(text)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, RecursionError, MemoryError) as error:
        raise ValueError(str(error) or "too large") from error
    return root
