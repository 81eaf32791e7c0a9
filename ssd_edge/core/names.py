"""Names of models, runs and graphs name files: none may lead out of a folder, hide, or pass for an option."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MOST_BYTES = 100
"""Of a name in UTF-8: with suffixes such as ``.int8-fp16.tensorrt-rtx.engine`` it still fits into 255."""
WANTED_NAME = f"at most {MOST_BYTES} bytes, without /, \\ and control characters, and not starting with '.' or '-'"
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_OTHER_SIGNS = re.compile(r"[^\w.+-]+")
_MOST_SIGNS = 60
_DIGITS = 8


def is_file_name(name: str) -> bool:
    """Whether a text can be the stem of a file on every system, and is seen, typed and printed as it is."""
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return (
        0 < size <= MOST_BYTES
        and name[0] not in ".-"
        and name == name.strip()
        and not name.endswith(".")
        and not set("/\\") & set(name)
        and not any(unicodedata.category(sign).startswith("C") for sign in name)
        and name.split(".")[0].lower() not in _RESERVED
    )


def file_slug(text: str) -> str:
    """Return a file name that resembles a text, such as ``w-o-helmet`` for the class ``w/o helmet``.

    Letters, digits, ``_``, ``.``, ``+`` and ``-`` stay. A text of which too little is left has its digest behind it.
    """
    plain = _OTHER_SIGNS.sub("-", text).strip("-.")
    slug = plain[:_MOST_SIGNS].rstrip("-.")
    while len(slug.encode("utf-8")) > MOST_BYTES - _DIGITS - 1:
        slug = slug[:-1]
    return slug if slug == plain and is_file_name(slug) else _with_digest(slug, text)


def _with_digest(slug: str, text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{slug}-{digest}" if slug else digest
