"""Files of a workspace for tests; the engines are empty."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.manifest import manifest_path
from tests.core.factories import manifest


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def engine(root: Path, name: str, day: int, folder: str = "m", **changes: object) -> Path:
    """An engine that was built on a day of January."""
    path = put(root / f"engines/{folder}/{name}.engine")
    manifest(built_at=f"2026-01-{day:02}T00:00:00+00:00", **changes).save(manifest_path(path))
    return path
