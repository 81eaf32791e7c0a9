"""The one door to the parser of XML: whatever it raises at a hostile text is one ValueError.

A module of its own, as importing the standard library's parser takes some milliseconds, and ``run`` reads no XML.
"""

from __future__ import annotations

from xml.etree import ElementTree

from ssd_edge.core.limits import how_to_raise, limit
from ssd_edge.core.text_parsers import check_count

_ANY_DEPTH = 1 << 16  # characters: what they can nest does no harm


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
    check_count(text.count("<"), "tags")
    parser = ElementTree.XMLParser(target=_Bounded()) if len(text) > _ANY_DEPTH else ElementTree.XMLParser()  # noqa: S314 - the caller refuses document types and entities; depth and number are bounded
    try:
        parser.feed(text)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, RecursionError, MemoryError) as error:
        raise ValueError(str(error) or "too large") from error
    return root
