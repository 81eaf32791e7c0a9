"""The one door to parsers of JSON and TOML: whatever they raise at a hostile text is one ValueError.

They raise RecursionError at what is nested deeply, MemoryError at what is large, and ValueErrors of several kinds. XML
has a door of its own, ``xml_parser``: importing its parser takes longer than both.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ssd_edge.core.limits import how_to_raise, limit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is none, or is nested too deeply, or holds more lists and objects than any label file.
    """
    begun = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    check_count(begun, "lists and objects")
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


def check_count(count: int, of_what: str) -> None:
    """Raise ValueError where a text has more of something than any label file."""
    if count > limit("containers"):
        most, do = limit("containers"), how_to_raise("containers", count)
        raise ValueError(f"{count} {of_what}, more than {most}. {do}")
