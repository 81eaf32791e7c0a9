"""The few keys of YOLO's data.yaml that say where the pictures lie and what the classes are called.

The file is YAML, but its documented keys need no more than scalars, one list and one mapping; a strict reader of just
these keeps a YAML library, and its surprises, out of the base installation. Other keys are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.data.label_files import checked_class_names, read_label_text

SPLIT_KEYS = ("train", "val", "test")
_KEY = re.compile(r"^(?P<key>[A-Za-z_]\w*)\s*:(?:\s+(?P<value>.*))?$")
_ITEM = re.compile(r"^-\s+(?P<value>.+)$")
_PAIR = re.compile(r"^(?P<number>\d+)\s*:\s+(?P<value>.+)$")
_FLOW_PART = re.compile(r"""\s*(?P<part>(?:\d+\s*:\s+)?(?:"[^"]*"|'[^']*'|[^,"'\s][^,]*))\s*(?:,|$)""")
_SCALAR = re.compile(
    r"""(?P<quote>["'])(?P<quoted>(?:(?!(?P=quote)).)*)(?P=quote)|(?P<plain>[^,\[\]{}#"'&*!|>%@`?][^,\[\]{}#]*)"""
)


@dataclass(frozen=True)
class YoloConfig:
    """What data.yaml says.

    Attributes:
        root: folder that the splits are relative to: ``path``, or the folder of the file.
        splits: ``train``, ``val`` and ``test`` as far as they are given: folders or lists, relative to ``root``.
        class_names: in the order of their numbers.
    """

    root: Path
    splits: dict[str, tuple[str, ...]]
    class_names: tuple[str, ...]


def read_yolo_yaml(path: Path) -> YoloConfig:
    """Return what the file says.

    Raises:
        InputError: it is unreadable, lacks ``names``, or says something that this reader does not understand.
    """
    blocks = _blocks(read_label_text(path))
    if "names" not in blocks:
        raise InputError(f"{path} has no key 'names'", got=", ".join(blocks) or "no key", wanted="names: [class, …]")
    if blocks["names"][0][:1] not in ("", "[", "{"):
        raise _not_understood(path, "names", blocks["names"][0])
    names = checked_class_names(_values(path, "names", blocks["names"]), origin=path)
    count = _values(path, "nc", blocks["nc"])[0] if "nc" in blocks else str(len(names))
    if count != str(len(names)):
        raise InputError(f"{path} contradicts itself", got=f"nc: {count} and {len(names)} names", wanted="one count")
    splits = {key: _values(path, key, blocks[key]) for key in SPLIT_KEYS if key in blocks and any(blocks[key])}
    root = path.parent / _values(path, "path", blocks["path"])[0] if "path" in blocks else path.parent
    return YoloConfig(root, splits, names)


def _blocks(text: str) -> dict[str, list[str]]:
    """Each top-level key with its lines: the rest of its own line, then the lines below it, without comments."""
    blocks: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        bare = re.sub(r"(?:^|\s)#.*$", "", line).rstrip()
        match = _KEY.match(bare)
        if match:
            lines = blocks.setdefault(match["key"], [])
            lines.append(match["value"] or "")
        elif bare.strip() and bare.strip() != "---":
            lines.append(bare.strip())
    return blocks


def _values(path: Path, key: str, lines: list[str]) -> tuple[str, ...]:
    """The value of a key as strings: one scalar, ``[a, b]``, ``{0: a, 1: b}``, ``- a`` lines or ``0: a`` lines."""
    flow = " ".join(lines).strip()
    if flow.startswith("[") and flow.endswith("]"):
        return tuple(_scalar(path, key, part) for part in _split_flow(path, key, flow[1:-1]))
    if flow.startswith("{") and flow.endswith("}"):
        return _numbered(path, key, _split_flow(path, key, flow[1:-1]))
    below = [line for line in lines[1:] if line]
    if lines[0] and not below:
        return (_scalar(path, key, lines[0]),)
    items = [_ITEM.match(line) for line in below]
    if not lines[0] and below and all(items):
        return tuple(_scalar(path, key, item["value"]) for item in items if item)
    if not lines[0] and below:
        return _numbered(path, key, below)
    raise _not_understood(path, key, flow)


def _numbered(path: Path, key: str, lines: list[str]) -> tuple[str, ...]:
    pairs = [_PAIR.match(line) for line in lines]
    values = {int(pair["number"]): _scalar(path, key, pair["value"]) for pair in pairs if pair}
    if len(values) != len(lines) or sorted(values) != list(range(len(values))):
        raise _not_understood(path, key, " ".join(lines))
    return tuple(values[number] for number in range(len(values)))


def _split_flow(path: Path, key: str, text: str) -> list[str]:
    parts, position = [], 0
    while text[position:].strip():
        match = _FLOW_PART.match(text, position)
        if not match:
            raise _not_understood(path, key, text)
        parts.append(match["part"].strip())
        position = match.end()
    return parts


def _scalar(path: Path, key: str, text: str) -> str:
    match = _SCALAR.fullmatch(text.strip())
    if not match or "\\" in (match["quoted"] or ""):
        raise _not_understood(path, key, text)
    return match["quoted"] if match["quote"] else match["plain"].strip()


def _not_understood(path: Path, key: str, text: str) -> InputError:
    return InputError(
        f"{path}: the value of {key!r} is not understood",
        got=text[:80],
        wanted="a plain value, [a, b], or lines '- a' or '0: a'",
    )
