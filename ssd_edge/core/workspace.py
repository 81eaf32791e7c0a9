"""A workspace: the folder with runs/, calibration/ and engines/ in which commands find their own input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.errors import InputError

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
    """Return the newest ``engines/*/*.engine`` for which ``usable`` holds."""
    return _newest(root, "engines/*/*.engine", "an engine for this machine", "Build one: ssd-edge build", usable)


def _newest(root: Path, pattern: str, wanted: str, do: str, usable: Callable[[Path], bool] = _any_file) -> Choice:
    # Hidden ones are half-written: a process that is killed leaves them.
    whole = (path for path in root.glob(pattern) if not path.name.startswith("."))
    found = sorted((path for path in whole if usable(path)), key=lambda path: path.stat().st_mtime)
    if not found:
        raise InputError(f"{root / pattern} matches nothing", wanted=wanted, do=do)
    count = f", newest of {len(found)}" if len(found) > 1 else ""
    return Choice(found[-1], f"using {found[-1]}{count}")
