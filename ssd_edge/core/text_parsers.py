"""The one door to parsers of JSON, TOML and XML: whatever they raise at a hostile text is one ValueError.

They raise RecursionError at what is nested deeply, MemoryError at what is large, and ValueErrors of several kinds.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from xml.etree import ElementTree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEEPEST_XML = 100
_ANY_DEPTH = 1 << 16  # characters: what they can nest does no harm


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is none, or is nested too deeply.
    """
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


class _Bounded(ElementTree.TreeBuilder):
    """Builds a tree that is not deeper than :data:`DEEPEST_XML`."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str], /) -> ElementTree.Element:
        self._depth += 1
        if self._depth > DEEPEST_XML:
            raise ValueError(f"more than {DEEPEST_XML} elements inside one another")
        return super().start(tag, attributes)

    def end(self, tag: str, /) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def parse_xml(text: str) -> ElementTree.Element:
    """Return the root of an XML text, which should declare no entities.

    Raises:
        ValueError: it is not well-formed, or is nested too deeply.
    """
    parser = ElementTree.XMLParser(target=_Bounded()) if len(text) > _ANY_DEPTH else ElementTree.XMLParser()
    try:
        parser.feed(text)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, RecursionError, MemoryError) as error:
        raise ValueError(str(error) or "too large") from error
    return root
