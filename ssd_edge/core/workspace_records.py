"""Records of a workspace about its engines: the current engine, and the model that was exported last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, TypeVar

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import is_file, path_kind, refuse_device, written_beside
from ssd_edge.core.log import log
from ssd_edge.core.shell import quoted

ENGINES = "engines"
CURRENT_NAME, EXPORTED_NAME = "current.json", "exported.json"
Why = Literal["built", "pinned"]


@dataclass(frozen=True)
class CurrentEngine:
    """Current engine of a workspace (``engines/current.json``): the one that ``run`` uses.

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
        return root / ENGINES / self.engine

    @property
    def reason(self) -> str:
        """The reason why it is current, in words."""
        return "built last" if self.why == "built" else "pinned by ssd-edge use"


@dataclass(frozen=True)
class ExportedModel:
    """Contents of ``engines/exported.json``.

    Attributes:
        onnx: path of the exported model, relative to ``engines/``.
        at: when it was exported or imported, ISO 8601 in UTC.
    """

    onnx: str
    at: str

    def path(self, root: Path) -> Path:
        """Return the model's file."""
        return root / ENGINES / self.onnx


Record = TypeVar("Record", CurrentEngine, ExportedModel)

_FORMATS: dict[type[CurrentEngine | ExportedModel], Format] = {
    CurrentEngine: Format("ssd-edge/current/1", "record of the current engine", "Build one: ssd-edge build"),
    ExportedModel: Format("ssd-edge/exported/1", "record of the exported model", "Export one: ssd-edge export"),
}


def _utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def current_path(root: Path) -> Path:
    """Return ``engines/current.json``."""
    return root / ENGINES / CURRENT_NAME


def read_current(root: Path) -> CurrentEngine | None:
    """Return the current engine; None where none was built or pinned yet.

    Raises:
        ArtifactError: the file is damaged, or of another version of the format.
    """
    return _read(current_path(root), CurrentEngine)


def refuse_record(path: Path, do: str) -> None:
    """Raise InputError, which says what it is, where a file is one of these records.

    Args:
        path: the file.
        do: the command for the file that a record names, without that file.
    """
    kind = {CURRENT_NAME: CurrentEngine, EXPORTED_NAME: ExportedModel}.get(path.name)
    if kind is None or path.parent.resolve().name != ENGINES:
        return
    form = _FORMATS[kind]
    record: CurrentEngine | ExportedModel = read_artifact(path, kind, form)
    named = record.path(path.parent.parent)
    raise InputError(
        f"{path} is the workspace's {form.what}", got=f"a record that names {named}", do=f"{do} {quoted(named)}"
    )


def check_note(root: Path, name: str, made: Path | None) -> None:
    """Find out before long work, not after it, that what it makes cannot be noted.

    Args:
        root: the workspace.
        name: of the note, :data:`CURRENT_NAME` or :data:`EXPORTED_NAME`.
        made: the file that the work makes; one outside of ``engines/`` is not noted. None for one inside.

    Raises:
        InputError: a folder, or what is no regular file, is in the place of the note.
    """
    if made is not None and _inside(root, made) is None:
        return
    path = root / ENGINES / name
    refuse_device(path)
    if path_kind(path) == "folder":
        raise InputError(f"{path} is a folder", wanted="a file that ssd-edge writes", do=f"Remove {path}.")


def make_current(root: Path, engine: Path, why: Why) -> CurrentEngine | None:
    """Note that ``engine`` is what ``run`` must take, and return what holds now.

    What is pinned stays when another engine is built. An engine that lies outside of ``engines/`` is never current.

    Raises:
        InputError: the file cannot be written.
    """
    name = _inside(root, engine)
    if name is None:
        return None
    before = _current_or_none(root)
    if before is not None and why == "built" and before.why == "pinned" and is_file(before.path(root)):
        return before
    made = CurrentEngine(name, why, _utc_now())
    _write(current_path(root), made)
    return made


def clear_current(root: Path) -> None:
    """Forget which engine is current, pinned or not: the newest by the manifests is, then.

    Raises:
        InputError: the file cannot be removed.
    """
    try:
        current_path(root).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{current_path(root)} cannot be removed ({error.strerror or error})") from error


def _current_or_none(root: Path) -> CurrentEngine | None:
    """Return the current engine; a damaged file is said and written anew."""
    try:
        return read_current(root)
    except ArtifactError as error:
        log.warning(str(error))
        return None


def set_exported(root: Path, onnx: Path) -> None:
    """Make ``onnx`` the model that ``calibrate`` and ``build`` take; one outside of ``engines/`` changes nothing.

    Raises:
        InputError: the file cannot be written.
    """
    inside = _inside(root, onnx)
    if inside is not None:
        _write(root / ENGINES / EXPORTED_NAME, ExportedModel(inside, _utc_now()))


def read_exported(root: Path) -> ExportedModel | None:
    """Return the model that was exported last; None where the workspace does not say.

    Raises:
        ArtifactError: the file is damaged, or of another version of the format.
    """
    return _read(root / ENGINES / EXPORTED_NAME, ExportedModel)


def _inside(root: Path, path: Path) -> str | None:
    """Return a path relative to ``engines/``; None where it lies elsewhere."""
    try:
        return path.resolve().relative_to((root / ENGINES).resolve()).as_posix()
    except (OSError, ValueError, RuntimeError):  # it is no path at all, which who writes there says
        return None


def _write(path: Path, record: CurrentEngine | ExportedModel) -> None:
    fields = {"format": _FORMATS[type(record)].tag, **asdict(record)}
    with written_beside(path) as partial:
        partial.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def _read(path: Path, kind: type[Record]) -> Record | None:
    return read_artifact(path, kind, _FORMATS[kind]) if path.is_file() else None
