"""Text that is printed for the user: commands to type, and names that come from files."""

from __future__ import annotations

import os
import shlex
import unicodedata

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # they show a text in another order than it has


def quoted(path: str | os.PathLike[str]) -> str:
    """Return a path as it can be typed into a shell: in quotes where it has spaces and the like."""
    return shlex.quote(os.fspath(path))


def size_text(size: int | tuple[int, int]) -> str:
    """Return a size as options take it: ``300``, the side of a square, or ``320x240``, width and height."""
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"


def is_control(sign: str) -> bool:
    """Return whether a terminal obeys a sign instead of showing it, or cannot show it."""
    return unicodedata.category(sign) in ("Cc", "Cs") or ord(sign) in _BIDI


def printable(text: str) -> str:
    """Return text as a terminal may have it: with escapes for what it would obey, line breaks and tabs excepted."""
    if text.isprintable():
        return text
    return "".join(_escaped(sign) if is_control(sign) and sign not in "\n\t" else sign for sign in text)


def printable_json(text: str) -> str:
    """Return JSON as a terminal may have it: the same values, with JSON's escapes for what it would obey."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(f"\\u{ord(sign):04x}" if is_control(sign) and sign not in "\n\t" else sign for sign in text)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
