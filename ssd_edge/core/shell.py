"""Commands that are printed for the user to type."""

from __future__ import annotations

import shlex
from pathlib import Path


def quoted(path: Path) -> str:
    """Return a path as it can be typed into a shell: in quotes where it has spaces and the like."""
    return shlex.quote(str(path))
