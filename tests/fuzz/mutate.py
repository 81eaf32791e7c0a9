"""Mutations: of bytes, of trees of JSON, of lines, of XML. Each draws from a ``Random`` and from nothing else."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 255, 256, 65535, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 40, 1 << 63, -(1 << 63), 1 << 64, 10**400,
    0.5, -0.0, 1e-45, 1e39, 1e308, float("nan"), float("inf"), float("-inf"), True, None,
)  # fmt: skip
_TEXTS = (
    "", " ", ".", "..", "../x", "../../x", "/", "a/b", "a\\b", "C:\\a", "-rf", "--debug", "con", "nul.txt", "N/A",
    "a" * 300, "a" * 100_000, "\x1b]0;pwned\x07", "\x9b31m", "\x00", "a\nb", "\r", "\ud800", "\u202eabc", "é" * 60,
    "$(touch pwned)", "'; touch pwned; '", "`touch pwned`", "<script>alert(1)</script>", "&amp;", "%s%n", "{0.a}",
    "{name}", "[red]x[/red]", "🦊", "1e999", "nan", "0x10", "١٢", "null", "true", "9" * 5000, "file:///etc/passwd",
    "__class__", "background",
)  # fmt: skip
_SPLICES = (
    *(text.encode("utf-8", "surrogatepass") for text in _TEXTS if len(text) < 400),
    b"\xff" * 8, b"\0" * 64, b"\x80", b"\xc3", b"\xef\xbb\xbf", b"\xff\xfe", b"]" * 50, b"[" * 5000, b"{" * 5000,
    b"PK\5\6",
)  # fmt: skip
_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63)


def hostile_text(rng: Random, outside: Path) -> str:
    """Draw a text that has harmed someone; some name ``outside``, where nothing may be written."""
    baits = (str(outside / "x"), "../outside/x", "../../outside/x", f"{outside}/kept")
    return rng.choice(baits) if rng.random() < 0.2 else rng.choice(_TEXTS)


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """Change one to four places."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice((_flip, _cut, _repeat, _splice, _integer, _truncate, _swap))(data, rng)
    return data


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    begin = rng.randrange(len(data) + 1)
    return begin, min(len(data), begin + rng.choice((1, 2, 4, 16, 64, 1024)))


def _flip(data: bytes, rng: Random) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _cut(data: bytes, rng: Random) -> bytes:
    begin, end = _span(data, rng)
    return data[:begin] + data[end:]


def _repeat(data: bytes, rng: Random) -> bytes:
    begin, end = _span(data, rng)
    return data[:end] + data[begin:end] * rng.choice((1, 2, 50)) + data[end:]


def _splice(data: bytes, rng: Random) -> bytes:
    begin, end = _span(data, rng)
    return data[:begin] + rng.choice(_SPLICES) + data[end if rng.random() < 0.5 else begin :]


def _integer(data: bytes, rng: Random) -> bytes:
    form = rng.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    if len(data) < size:
        return data
    at = rng.randrange(len(data) - size + 1)
    return data[:at] + struct.pack(form, rng.choice(_INTEGERS) % (1 << 8 * size)) + data[at + size :]


def _truncate(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _swap(data: bytes, rng: Random) -> bytes:
    first, second = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[second:] + data[first:second] + data[:first]


def mutate_tree(tree: Any, rng: Random, outside: Path) -> Any:
    """Return a tree of dictionaries, lists and values with one to three places changed."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        holder: list[Any] = [tree]
        places: list[tuple[Any, Any]] = []
        _collect(holder, places)
        container, key = rng.choice(places)
        _change(container, key, rng, outside)
        tree = holder[0] if holder else None
    return tree


def _collect(container: Any, places: list[tuple[Any, Any]]) -> None:
    pairs = container.items() if isinstance(container, dict) else enumerate(container)
    for key, value in list(pairs)[:200]:
        places.append((container, key))
        if isinstance(value, (dict, list)) and len(places) < 5000:
            _collect(value, places)


def _change(container: Any, key: Any, rng: Random, outside: Path) -> None:
    value, kind = container[key], rng.randrange(9)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[hostile_text(rng, outside)] = container.pop(key)
    elif kind == 2 and isinstance(value, list):
        container[key] = value * rng.choice((0, 2, 1000))
    elif kind == 3:
        container[key] = [value]
    elif kind == 4:
        container[key] = nested(rng.choice((3, 50, 300)), rng)
    elif kind == 5 and isinstance(value, str) and value:
        at = rng.randrange(len(value))
        container[key] = value[:at] + hostile_text(rng, outside) + value[at:]
    elif kind == 6 and isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:
        container[key] = rng.choice((-value, value + 1, value * 1000, str(value), value / 7))
    elif kind == 7:
        container[key] = hostile_text(rng, outside)
    else:
        container[key] = rng.choice(NUMBERS)


def nested(depth: int, rng: Random) -> Any:
    """Return lists, or dictionaries, inside one another."""
    tree: Any = 1
    for _ in range(depth):
        tree = [tree] if rng.random() < 0.5 else {"a": tree}
    return tree


def mutate_json(text: bytes, rng: Random, outside: Path) -> bytes:
    """Change the tree of a JSON text, seven times in ten; else its bytes, or nest it without end."""
    draw = rng.random()
    if draw < 0.05:
        return rng.choice((b"[", b'{"a":')) * 100_000
    if draw < 0.3:
        return mutate_bytes(text, rng)
    try:
        tree = mutate_tree(json.loads(text), rng, outside)
        return json.dumps(tree).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # changed once before
        return mutate_bytes(text, rng)


def mutate_lines(data: bytes, rng: Random, outside: Path) -> bytes:
    """Change a text of lines: a word, a line, or bytes."""
    lines = data.split(b"\n")
    at, kind = rng.randrange(len(lines)), rng.randrange(7)
    words = lines[at].split(b" ")
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, rng.choice(lines))
    elif kind == 2:
        words[rng.randrange(len(words))] = hostile_text(rng, outside).encode("utf-8", "surrogatepass")
        lines[at] = b" ".join(words)
    elif kind == 3:
        words[rng.randrange(len(words))] = str(rng.choice(NUMBERS)).encode()
        lines[at] = b" ".join(words)
    elif kind == 4:
        lines[at] = lines[at] * rng.choice((2, 2000))
    elif kind == 5:
        lines = lines * rng.choice((2, 300))
    else:
        return mutate_bytes(data, rng)
    return b"\n".join(lines)


def mutate_xml(data: bytes, rng: Random, outside: Path) -> bytes:
    """Change an element of an XML text, or its bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    root = ElementTree.fromstring(data)
    parents = [element for element in root.iter() if len(element)]
    parent = rng.choice(parents or [root])
    if not len(parent):
        return data
    element, kind = rng.choice(list(parent)), rng.randrange(5)
    if kind == 0:
        parent.remove(element)
    elif kind == 1:
        parent.extend([element] * rng.choice((1, 500)))
    elif kind == 2:
        element.text = str(rng.choice(NUMBERS))
    elif kind == 3:
        element.tag = "object"
    else:
        element.text = "".join(
            sign for sign in hostile_text(rng, outside) if sign >= " " and not 0xD800 <= ord(sign) < 0xE000
        )
    return ElementTree.tostring(root)


def mutate_file(path: Path, change: Callable[[bytes, Random, Path], bytes], rng: Random, outside: Path) -> str:
    """Change a file in place; now and then it is empty, a folder, a link in a ring or a pipe instead."""
    if rng.random() < 0.03:
        return _replace(path, rng)
    path.write_bytes(change(path.read_bytes(), rng, outside))
    return f"{path.name} changed by {change.__name__}"


def bytes_of(data: bytes, rng: Random, outside: Path) -> bytes:
    """As :func:`mutate_bytes`, for :func:`mutate_file`."""
    return mutate_bytes(data, rng)


def _replace(path: Path, rng: Random) -> str:
    import os

    path.unlink()
    kinds: Sequence[tuple[str, Callable[[], object]]] = (
        ("empty", path.touch),
        ("a folder", path.mkdir),
        ("a link to itself", lambda: path.symlink_to(path.name)),
        ("a pipe", lambda: os.mkfifo(path)),
        ("a link to nothing", lambda: path.symlink_to("nowhere")),
    )
    name, make = rng.choice(kinds)
    make()
    return f"{path.name} is {name}"
