"""The names that each TensorRT release has: ``surface.json``, see ``record_surface.py``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_RECORD = Path(__file__).with_name("surface.json")


@cache
def _record() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(_RECORD.read_text(encoding="utf-8"))
    return found


class Surface:
    """What a release has; ``8.5``, ``8.6``, ``10.3``, ``10.16``, ``11.4`` or ``rtx``."""

    def __init__(self, release: str) -> None:
        self._release = release

    def module_names(self) -> set[str]:
        """Names of the module itself."""
        return self._names("")

    def class_names(self, name: str) -> set[str]:
        """Public names of a class; empty where only its existence is recorded."""
        return self._names(name) if name in _record() else set()

    def enum_members(self, name: str) -> dict[str, int] | None:
        """Members of an enum with their values, in their order; None where the name is no enum of this release."""
        entries = _record().get(name, {})
        found = {
            member: values[self._release]
            for member, values in entries.items()
            if isinstance(values, dict) and self._release in values
        }
        return dict(sorted(found.items(), key=lambda entry: entry[1])) or None

    def _names(self, kind: str) -> set[str]:
        return {
            name
            for name, releases in _record()[kind].items()
            if isinstance(releases, str) and self._release in releases.split()
        }
