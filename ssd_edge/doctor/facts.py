"""Facts: what was asked of a machine, and what it answered. A record of them can be evaluated on another machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ssd_edge.core.errors import InputError
from ssd_edge.core.text_parsers import parse_json

FACTS_FORMAT = "ssd-edge/doctor/1"


class Source(Protocol):
    """Answers questions about a machine."""

    def ask(self, kind: str, subject: str) -> Any:
        """Return JSON: what is there, or None where it is not."""


@dataclass(frozen=True)
class Module:
    """An importable Python module; ``problem`` says why its import fails where it does."""

    version: str
    file: str
    problem: str = ""


@dataclass(frozen=True)
class Python:
    """The interpreter.

    Attributes:
        venv: the virtual environment's folder; empty outside of one.
        sees_system: whether packages of the system's Python can be imported.
        is_root: whether the user is root, as in a container.
    """

    version: tuple[int, int, int]
    machine: str
    venv: str
    sees_system: bool
    is_root: bool = False


@dataclass(frozen=True)
class Gpu:
    """The first GPU, as the CUDA driver describes it; memory in bytes."""

    name: str
    compute_capability: tuple[int, int]
    integrated: bool
    memory: int
    driver_cuda: tuple[int, int]
    count: int


class Facts:
    """Typed questions to a source; each is asked once, and kept for the record."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._answers: dict[str, Any] = {}

    @property
    def answers(self) -> Mapping[str, Any]:
        """All that was asked so far, e.g. ``{"glob /dev/video*": ["/dev/video0"]}``."""
        return self._answers

    def text(self, path: str) -> str | None:
        """Return a small file's text."""
        return _text(self._ask("read", path))

    def paths(self, pattern: str) -> list[str]:
        """Return what matches a pattern, sorted."""
        return self._ask("glob", pattern) or []

    def readable(self, path: str) -> bool:
        """Return whether this user may read and write a device."""
        return bool(self._ask("access", path))

    def output(self, command: str) -> str | None:
        """Return what a command prints; None where it does not exist or fails."""
        return _text(self._ask("run", command))

    def module(self, name: str) -> Module | None:
        """Return a module; None where Python finds none of the name."""
        found = self._ask("module", name)
        return None if found is None else Module(**found)

    def distribution(self, name: str) -> str | None:
        """Return the version of what pip has installed under a name; None where it has not."""
        return _text(self._ask("distribution", name))

    def python(self) -> Python:
        """Return the interpreter."""
        found = self._ask("python", "")
        return Python(**{**found, "version": tuple(found["version"])})

    def gpu(self) -> Gpu | str:
        """Return the first GPU, or why the CUDA driver shows none."""
        found = self._ask("gpu", "")
        if not isinstance(found, dict):
            return str(found or "no CUDA driver (libcuda.so.1)")
        pairs = {name: tuple(found[name]) for name in ("compute_capability", "driver_cuda")}
        return Gpu(**{**found, **pairs})

    def plugins(self, module: str) -> list[str]:
        """Return the names of the plugins that a TensorRT module registers."""
        return self._ask("plugins", module) or []

    def build_information(self) -> str:
        """Return OpenCV's build information."""
        return self._ask("opencv", "") or ""

    def cpu(self) -> str:
        """Return the processor as engines know it, e.g. ``x86_64+avx2+avx512_vnni``."""
        return str(self._ask("cpu", ""))

    def room(self, place: str) -> tuple[int, int] | None:
        """Return (total, free) bytes of the disk of a folder; ``TMPDIR`` is that of temporary files."""
        found = self._ask("room", place)
        return None if found is None else (int(found[0]), int(found[1]))

    def limits(self) -> tuple[int, int] | None:
        """Return how many (open files, processes) this user may have; -1 is no limit."""
        found = self._ask("limits", "")
        return None if found is None else (int(found[0]), int(found[1]))

    def _ask(self, kind: str, subject: str) -> Any:
        key = f"{kind} {subject}".strip()
        if key not in self._answers:
            self._answers[key] = self._source.ask(kind, subject)
        return self._answers[key]


def _text(answer: Any) -> str | None:
    return None if answer is None else str(answer)


class Recorded:
    """Answers from a record, as ``ssd-edge doctor --json`` writes it.

    Raises:
        InputError: the file cannot be read, or is no such record.
    """

    def __init__(self, path: Path) -> None:
        try:
            record = parse_json(path.read_text(encoding="utf-8"))
            if record["format"] != FACTS_FORMAT:
                raise ValueError(f"its format is {record['format']!r}")
            self._answers: Mapping[str, Any] = record["facts"]
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror or error})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is not a report of a machine",
                got=f"missing or invalid content ({error})",
                wanted="a file that ssd-edge doctor --json wrote",
            ) from error

    def ask(self, kind: str, subject: str) -> Any:
        """Return what was answered then; None for what was not asked."""
        return self._answers.get(f"{kind} {subject}".strip())
