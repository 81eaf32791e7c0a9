"""Size limits of all file readers; a user who trusts a file can raise each of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache

from ssd_edge.core.errors import InputError

VARIABLE = "SSD_EDGE_LIMITS"
"""Environment variable that raises limits, e.g. ``pixels=400M,scans=200``; the option ``--limit`` sets it."""

LIMITS: dict[str, int] = {
    "bytes": 4 << 30,  # of a file that is read whole
    "pixels": 200_000_000,  # of an image: 600 MB in memory
    "scans": 100,  # of a JPEG; cameras and libjpeg write one, or some ten
    "unpacked": 256 << 20,  # bytes that any archive of PyTorch may unfold to; a larger one to 20 times its size
    "members": 100_000,  # of an archive of PyTorch
    "tensor": 2 << 30,  # bytes of one tensor of a graph, weights and activations alike, for one image
    "nesting": 100,  # containers of JSON, TOML or XML inside one another
    "containers": 10_000_000,  # lists, objects and elements of a text: COCO's own file has 3.5 million
    "lines": 2_000_000,  # of a label file or a list of images; Open Images has 1.7 million images
    "classes": 10_000,  # of a list of class names
    "name": 500,  # characters of a class name
}
"""Every limit by its name, with its default."""

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_NUMBER = re.compile(r"(\d{1,15})([kMG]?)")


def limit(name: str) -> int:
    """Return the limit of this name as it holds now.

    Raises:
        InputError: the environment variable is none of limits.
    """
    return _raised(os.environ.get(VARIABLE, "")).get(name, LIMITS[name])


def how_to_raise(name: str, needed: int) -> str:
    """Return the sentence that says how a user lets ``needed`` pass."""
    value = next((f"{-(-needed // size)}{unit}" for unit, size in _ROUNDED if needed >= 1000 * size), str(needed))
    return f"If you trust the file: ssd-edge --limit {name}={value} …, or {VARIABLE}={name}={value}"


_ROUNDED = sorted(((unit, size) for unit, size in _UNITS.items() if unit), key=lambda entry: -entry[1])


def parse_limits(text: str) -> dict[str, int]:
    """Return the limits that ``name=number,name=number`` sets; a number may end in k, M or G.

    Raises:
        InputError: another text.
    """
    limits: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        match = _NUMBER.fullmatch(value)
        if name not in LIMITS or match is None:
            raise InputError(
                "--limit is invalid",
                got=repr(part)[:80],
                wanted=f"NAME=NUMBER, such as pixels=400M; NAME is {', '.join(LIMITS)}",
            )
        limits[name] = int(match[1]) * _UNITS[match[2]]
    return limits


def set_limits(limits: Sequence[str]) -> None:
    """Let limits hold for this process and those that it starts; for the command line.

    Raises:
        InputError: one of them, or what the environment sets, is none.
    """
    before = os.environ.get(VARIABLE, "")
    text = ",".join(filter(None, [before, *limits]))
    parse_limits(text)
    if text != before:
        os.environ[VARIABLE] = text


@lru_cache(maxsize=8)
def _raised(text: str) -> dict[str, int]:
    return parse_limits(text)
