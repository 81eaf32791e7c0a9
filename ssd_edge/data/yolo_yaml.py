"""The keys of YOLO's data.yaml that say where the images lie and what the classes are called; others are passed over.

All scalars are text, as PyYAML's ``BaseLoader`` reads them: a class may be called ``no`` or ``1.0``. Anchors, aliases
and tags are refused in the keys that are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ssd_edge.core.errors import InputError, one_line
from ssd_edge.data.label_files import checked_class_names, read_label_text

SPLIT_KEYS = ("train", "val", "test")
_OTHER_KEYS = {"valid": "val"}
_READ_KEYS = frozenset({"path", "names", "nc", "kpt_shape", *SPLIT_KEYS, *_OTHER_KEYS})
_MAX_BYTES = 1 << 20  # a thousand classes take 30 kB; PyYAML reads some 100 kB a second
_MAX_DEPTH = 20
_NAMES = "a list ([a, b] or lines '- a'), or lines '0: a' numbered from 0 without gaps"
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # of C, where PyYAML has it: twenty times as fast


@dataclass(frozen=True)
class YoloConfig:
    """Contents of data.yaml.

    Attributes:
        root: folder that the splits are relative to: ``path``, or the folder of the file.
        splits: ``train``, ``val`` and ``test`` as far as they are given: folders or lists, relative to ``root``.
        class_names: in the order of their numbers.
        pose: values of a pose behind each box, ``kpt_shape`` multiplied out; None where there is none.
    """

    root: Path
    splits: dict[str, tuple[str, ...]]
    class_names: tuple[str, ...]
    pose: int | None = None


def read_yolo_yaml(path: Path) -> YoloConfig:
    """Return what the file says.

    Raises:
        InputError: it is unreadable, too large or no YAML, lacks ``names``, or a key has no such value.
    """
    nodes = _read_keys(path, read_label_text(path, limit=_MAX_BYTES))
    if "names" not in nodes:
        raise InputError(f"{path} has no key 'names'", got=", ".join(nodes) or "no key", wanted="names: [class, …]")
    if isinstance(nodes["names"], yaml.ScalarNode):
        raise _not_understood(path, "names", nodes["names"].value, nodes["names"].start_mark.line)
    names = checked_class_names(_values(path, "names", nodes["names"]), origin=path)
    count = _values(path, "nc", nodes["nc"])[0] if "nc" in nodes else str(len(names))
    if count != str(len(names)):
        raise InputError(
            f"{path}: 'nc' is not the number of 'names'",
            got=f"nc: {count} and {len(names)} names",
            wanted=f"nc: {len(names)}",
        )
    stated = {_OTHER_KEYS.get(key, key): key for key in (*_OTHER_KEYS, *SPLIT_KEYS) if key in nodes}
    stated = {split: key for split, key in stated.items() if not _is_empty(nodes[key])}
    splits = {split: _values(path, stated[split], nodes[stated[split]]) for split in SPLIT_KEYS if split in stated}
    has_path = "path" in nodes and not _is_empty(nodes["path"])
    root = path.parent / _values(path, "path", nodes["path"])[0] if has_path else path.parent
    return YoloConfig(root, splits, names, _pose(path, nodes))


def _pose(path: Path, nodes: dict[str, yaml.Node]) -> int | None:
    if "kpt_shape" not in nodes:
        return None
    values = _values(path, "kpt_shape", nodes["kpt_shape"])
    if len(values) != 2 or not all(value.isdecimal() and len(value) < 5 for value in values):
        got = ", ".join(values)
        raise InputError(
            f"{path}: the value of 'kpt_shape' is invalid",
            got=got[:80],
            wanted="[number of keypoints, values of each: 2 or 3], such as [17, 3]",
        )
    return int(values[0]) * int(values[1])


def _read_keys(path: Path, text: str) -> dict[str, yaml.Node]:
    """Return every top-level key with its value."""
    _check_events(path, text)
    try:
        document = yaml.compose(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise _no_yaml(path, "", error) from error
    nodes: dict[str, yaml.Node] = {}
    for key, value in document.value if isinstance(document, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in nodes and key.value in _READ_KEYS:
            raise InputError(f"{path}, line {key.start_mark.line + 1}: the key {key.value!r} occurs twice")
        nodes[key.value] = value
    return nodes


def _check_events(path: Path, text: str) -> None:
    """Refuse what is no YAML, too deep, or in the keys that are read more than plain values, before it is composed."""
    key, depth, is_key = "", 0, False
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            is_plain = not (getattr(event, "anchor", None) or getattr(event, "tag", None))  # an alias has an anchor
            if depth > _MAX_DEPTH or (key in _READ_KEYS and not is_plain):
                line = event.start_mark.line if event.start_mark else 0
                raise _not_understood(path, key, _line(text, line), line)
            opens, closes = isinstance(event, yaml.CollectionStartEvent), isinstance(event, yaml.CollectionEndEvent)
            depth += opens - closes
            if is_key and depth == 1 and isinstance(event, yaml.ScalarEvent):
                key = event.value
            if depth == 1:  # keys and values take turns
                is_key = opens or not is_key
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise _no_yaml(path, key, error) from error


def _values(path: Path, key: str, node: yaml.Node) -> tuple[str, ...]:
    """The value of a key as strings: one scalar, a list, or a mapping that numbers its values from 0."""
    if isinstance(node, yaml.SequenceNode):
        return tuple(_scalar(path, key, item) for item in node.value)
    if not isinstance(node, yaml.MappingNode):
        return (_scalar(path, key, node),)
    values = {str(number.value): _scalar(path, key, value) for number, value in node.value}
    numbers = [str(number) for number in range(len(node.value))]
    if len(values) != len(node.value) or not all(number in values for number in numbers):
        raise _not_understood(path, key, ", ".join(values), node.start_mark.line)
    return tuple(values[number] for number in numbers)


def _scalar(path: Path, key: str, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or _is_empty(node) or node.style in ("|", ">"):
        got = node.value if isinstance(node, yaml.ScalarNode) else "a list or a mapping inside it"
        raise _not_understood(path, key, got.strip(), node.start_mark.line)
    return str(node.value)


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == "" and not node.style


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number].strip() if number < len(lines) else ""


def _no_yaml(path: Path, key: str, error: Exception) -> InputError:
    mark = getattr(error, "problem_mark", None)
    line = mark.line if mark else None
    if key in _READ_KEYS:
        return _not_understood(path, key, getattr(error, "problem", None) or str(error), line)
    return InputError(f"{_place(path, line)} is not valid YAML", got=one_line(error), wanted="a data.yaml of YOLO")


def _not_understood(path: Path, key: str, got: str, line: int | None) -> InputError:
    return InputError(
        f"{_place(path, line)}: the value of {key!r} is invalid",
        got=got[:80],
        wanted=_NAMES if key == "names" else "a plain value, or a list: [a, b] or lines '- a'",
    )


def _place(path: Path, line: int | None) -> str:
    return f"{path}" if line is None else f"{path}, line {line + 1}"
