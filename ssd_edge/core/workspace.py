"""A workspace: the folder with runs/, calibration/ and engines/ in which commands find their own input."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.core.field_types import refuse_other_types
from ssd_edge.core.files import written_beside
from ssd_edge.core.log import log

_TARGETS = (".onnxruntime", ".tensorrt", ".tensorrt-rtx")  # end the stem of a lowered graph: m.int8.tensorrt.onnx


@dataclass(frozen=True)
class Choice:
    """A file chosen by default.

    Attributes:
        note: what to tell the user, e.g. ``using engines/m/m.onnx, newest of 3``.
    """

    path: Path
    note: str


def _any_file(path: Path) -> bool:
    return path.is_file()


def newest_checkpoint(root: Path) -> Choice:
    """Return the newest ``runs/*/best.pt``."""
    return _newest(root, "runs/*/best.pt", "a trained checkpoint", "Train one: ssd-edge train DATASET")


def newest_onnx(root: Path) -> Choice:
    """Return the newest exported ``engines/*/*.onnx``; graphs that ``build --keep-graph`` left are none."""
    return _newest(root, "engines/*/*.onnx", "an exported model", "Export one: ssd-edge export", _is_exported)


def _is_exported(path: Path) -> bool:
    return path.is_file() and Path(path.stem).suffix not in _TARGETS


def newest_engine(root: Path, usable: Callable[[Path], bool] = _any_file) -> Choice:
    """Return the current engine if ``usable`` holds for it, else the newest usable ``engines/*/*.engine``."""
    current = read_current(root)
    if current is not None and current.path(root).is_file() and usable(current.path(root)):
        return Choice(current.path(root), f"using {current.path(root)}, {_WHY[current.why]}")
    return _newest(root, "engines/*/*.engine", "an engine for this machine", "Build one: ssd-edge build", usable)


def _newest(root: Path, pattern: str, wanted: str, do: str, usable: Callable[[Path], bool] = _any_file) -> Choice:
    # Hidden ones are half-written: a process that is killed leaves them.
    whole = (path for path in root.glob(pattern) if not path.name.startswith("."))
    found = sorted((path for path in whole if usable(path)), key=lambda path: path.stat().st_mtime)
    if not found:
        raise InputError(f"{root / pattern} matches nothing", wanted=wanted, do=do)
    count = f", newest of {len(found)}" if len(found) > 1 else ""
    return Choice(found[-1], f"using {found[-1]}{count}")


CURRENT_FORMAT = "ssd-edge/current/1"
Why = Literal["built", "pinned"]
_WHY = {"built": "built last", "pinned": "pinned by ssd-edge use"}


@dataclass(frozen=True)
class CurrentEngine:
    """Which engine of a workspace ``run`` takes: ``engines/current.json``, which a copy of the workspace keeps.

    Attributes:
        engine: path relative to ``engines/``.
        why: ``built`` was asked for last; ``pinned`` stays whatever is built.
        at: ISO 8601, UTC.
    """

    engine: str
    why: Why
    at: str

    def path(self, root: Path) -> Path:
        """Return the engine's file."""
        return root / "engines" / self.engine


def current_path(root: Path) -> Path:
    """Return ``engines/current.json``."""
    return root / "engines" / "current.json"


def read_current(root: Path) -> CurrentEngine | None:
    """Return the current engine; None where none was built or pinned yet.

    Raises:
        ArtefactError: the file is damaged, or of another version of the format.
    """
    path = current_path(root)
    if not path.is_file():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        found = fields.pop("format", None)
        if found != CURRENT_FORMAT:
            raise ValueError(f"format {found!r}")
        made = CurrentEngine(**fields)
        refuse_other_types(made)
        return made
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ArtefactError(
            f"{path} is damaged",
            got=f"{type(error).__name__}: {error}",
            wanted=CURRENT_FORMAT,
            do="Build an engine, which writes it anew: ssd-edge build",
        ) from error


def make_current(root: Path, engine: Path, why: Why) -> CurrentEngine | None:
    """Note that ``engine`` is what ``run`` shall take, and return what holds now.

    What is pinned stays when another engine is built. An engine that lies outside of ``engines/`` is never current.
    """
    folder = current_path(root).parent
    if not engine.resolve().is_relative_to(folder.resolve()):
        return None
    name = Path(os.path.relpath(engine.resolve(), folder.resolve())).as_posix()
    before = _current_or_none(root)
    if before is not None and why == "built" and before.why == "pinned" and before.path(root).is_file():
        return before
    made = CurrentEngine(name, why, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    with written_beside(current_path(root)) as partial:
        partial.write_text(json.dumps({"format": CURRENT_FORMAT, **asdict(made)}, indent=1) + "\n", encoding="utf-8")
    return made


def _current_or_none(root: Path) -> CurrentEngine | None:
    """Return the current engine; a damaged file is said and written anew."""
    try:
        return read_current(root)
    except ArtefactError as error:
        log.warning(str(error))
        return None
