"""Values of options that typer cannot parse itself: sizes and lists of numbers."""

from __future__ import annotations

import re

from ssd_edge.core.errors import InputError

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) from ``320x240``.

    Raises:
        InputError: the text has another form.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise InputError("the size is invalid", got=repr(text), wanted="WIDTHxHEIGHT, such as 320x240")
    return int(match[1]), int(match[2])


def parse_input_size(text: str | None) -> int | tuple[int, int] | None:
    """Return the side from ``300``, or (width, height) from ``320x240``; None if nothing is given.

    Raises:
        InputError: the text has another form.
    """
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    if not _SIZE.fullmatch(text):
        raise InputError("--input-size is invalid", got=repr(text), wanted="N or WIDTHxHEIGHT, such as 300 or 320x240")
    return parse_size(text)


def parse_numbers(text: str | None, option: str, example: str) -> tuple[int, ...] | None:
    """Return the whole numbers of ``6`` or ``4,6,6``; None if nothing is given.

    Args:
        text: numbers separated by commas.
        option: its name, for the error.
        example: of a valid value, for the error.

    Raises:
        InputError: the text has another form.
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise InputError(f"{option} is invalid", got=repr(text), wanted=f"whole numbers separated by commas, {example}")
    return tuple(int(word) for word in words)
