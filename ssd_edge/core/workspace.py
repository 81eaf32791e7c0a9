"""A workspace: the folder with runs/, calibration/ and engines/ in which commands find their own input.

What is newest never goes by the time of a file, which copying changes: it goes by what commands wrote down.

* ``engines/current.json`` names the engine that ``run`` takes: the last that ``build`` made, or one that
  ``ssd-edge use`` pinned. Without it the newest engine is the one with the latest ``built_at`` in its manifest.
* ``engines/exported.json`` names the ONNX that ``calibrate`` and ``build`` take: the last that ``export`` or
  ``import`` made. Without it they take the only ONNX there is, or the one that the current engine was built from.
* ``runs/<name>/run.json`` says when a checkpoint was saved, for ``export``; see :mod:`ssd_edge.core.runs`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, TypeVar

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.choices import Target
from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import ArtifactError, InputError, SsdEdgeError
from ssd_edge.core.files import is_file, path_kind, refuse_device, written_beside
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.runs import Run, list_runs
from ssd_edge.core.shell import quoted

ENGINES = "engines"
PRETRAINED = "torchvision:ssdlite320_mobilenet_v3_large"
"""A detector to begin with where there is none: as ``import --from`` takes it."""
CURRENT_NAME, EXPORTED_NAME = "current.json", "exported.json"
_TARGETS = tuple(f".{target}" for target in Target)  # end the stem of a lowered graph: m.int8.tensorrt.onnx
_MOST_NAMED = 4
Why = Literal["built", "pinned"]
_WHY = {"built": "built last", "pinned": "pinned by ssd-edge use"}


@dataclass(frozen=True)
class Choice:
    """A file chosen by default.

    Attributes:
        note: message for the log, e.g. ``using engines/m/m.onnx, newest of 3``.
    """

    path: Path
    note: str


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


@dataclass(frozen=True)
class ExportedModel:
    """Contents of ``engines/exported.json``.

    Attributes:
        onnx: path of the exported model, relative to ``engines/``.
        at: when it was exported or imported, ISO 8601 in UTC.
    """

    onnx: str
    at: str


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


def newest_checkpoint(root: Path) -> Choice:
    """Return the ``runs/*/best.pt`` that was saved last.

    Runs that say no date were made before dates were written, so they are older than those that say one.

    Raises:
        InputError: there is none, or there are several and none says when it was saved.
    """
    runs = list_runs(root)
    if not runs:
        raise _nothing(root / "runs/*/best.pt", "a trained checkpoint", "Train one: ssd-edge train DATASET")
    dated = [run for run in runs if run.saved_at]
    if not dated and len(runs) > 1:
        raise _ambiguous("checkpoints", [run.checkpoint for run in runs], "ssd-edge export")
    newest = max(dated or runs, key=_age)
    return Choice(newest.checkpoint, f"using {newest.checkpoint}{_of(len(runs))}")


def _age(run: Run) -> str:
    return run.saved_at


def newest_onnx(root: Path) -> Choice:
    """Return the model in ``engines/`` that was exported last; graphs that ``build --keep-graph`` left are none.

    Raises:
        InputError: there is none, or there are several and nothing says which is the newest.
    """
    found = [path for path in _whole_files(root, "*.onnx") if Path(path.stem).suffix not in _TARGETS]
    if not found:
        raise _nothing(root / "engines/*/*.onnx", "an exported model", _to_get_a_model(root))
    noted = _read(root / ENGINES / EXPORTED_NAME, ExportedModel)
    newest = root / ENGINES / noted.onnx if noted is not None else None
    if newest is not None and is_file(newest):
        return Choice(newest, f"using {newest}{_of(len({*found, newest}))}")
    if len(found) == 1:
        return Choice(found[0], f"using {found[0]}")
    built = _onnx_of_newest_engine(root, found)
    if built is None:
        raise _ambiguous("exported models", found, "ssd-edge build")
    return Choice(built, f"using {built}, from which the newest engine was built, of {len(found)}")


def has_model(root: Path) -> bool:
    """Whether a workspace has an engine, an exported model or a checkpoint, whole or not."""
    return any(
        found
        for pattern in ("engines/*/*.engine", "engines/*/*.onnx", "runs/*/best.pt")
        for found in root.glob(pattern)
    )


def _to_get_a_model(root: Path) -> str:
    if any(root.glob("runs/*/best.pt")):
        return "Export one: ssd-edge export"
    return (
        "There is no model here yet. To get one that knows the classes of COCO: "
        f"ssd-edge import --from {quoted(PRETRAINED)}, then ssd-edge export; ssd-edge run --yes does both. "
        "To train one: ssd-edge train DATASET"
    )


def _onnx_of_newest_engine(root: Path, found: list[Path]) -> Path | None:
    try:
        engine = newest_engine(root).path
        onnx = _manifest(engine).onnx_path(engine)
    except SsdEdgeError:
        return None
    return next((path for path in found if path.resolve() == onnx.resolve()), None)


def _any_file(path: Path) -> bool:
    return path.is_file()


def newest_engine(root: Path, usable: Callable[[Path], bool] = _any_file) -> Choice:
    """Return the current engine if ``usable`` holds for it, else the newest by the manifests for which it holds.

    Raises:
        InputError: there is none.
        ArtifactError: ``engines/current.json`` is damaged.
    """
    current = read_current(root)
    named = current.path(root) if current is not None else None
    engines = {path: _built_at(path) for path in _whole_files(root, "*.engine") if usable(path)}
    if current is not None and named is not None and is_file(named) and (named in engines or usable(named)):
        is_only = current.why == "built" and {named, *engines} == {named}
        return Choice(named, f"using {named}" + ("" if is_only else f", {_WHY[current.why]}"))
    if not engines:
        raise _nothing(root / "engines/*/*.engine", "an engine for this machine", "Build one: ssd-edge build")
    newest = max(engines, key=lambda path: (engines[path], path))
    passed = f"{named} is pinned and cannot be used here; " if current and current.why == "pinned" else ""
    return Choice(newest, f"{passed}using {newest}{_of(len(engines))}")


def named_or_newest(named: AnyPath | None, newest: Callable[[Path], Choice], root: Path) -> Path:
    """Return the file that the caller names, or else the workspace's newest, which is logged.

    Args:
        named: relative to the current directory; None for the newest.
        newest: :func:`newest_checkpoint`, :func:`newest_onnx` or :func:`newest_engine`.
        root: the workspace.

    Raises:
        InputError: ``newest`` finds none.
    """
    if named is not None:
        return Path(named)
    choice = newest(root)
    log.info(choice.note)
    return choice.path


def list_engines(root: Path) -> list[Path]:
    """Return the engines of the workspace that have a manifest, in the order of their paths."""
    return [path for path in _whole_files(root, "*.engine") if manifest_path(path).is_file()]


def _built_at(engine: Path) -> str:
    """Return when an engine was built; an empty text, older than any date, where its manifest does not say."""
    try:
        return _manifest(engine).built_at
    except SsdEdgeError:
        return ""


def _manifest(engine: Path) -> EngineManifest:
    return EngineManifest.load(manifest_path(engine))


def _whole_files(root: Path, pattern: str) -> list[Path]:
    """Return the files one folder below ``engines/``. Hidden ones are half-written: a killed process leaves them."""
    found = (path for path in root.glob(f"{ENGINES}/*/{pattern}") if not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def _inside(root: Path, path: Path) -> str | None:
    """Return a path relative to ``engines/``; None where it lies elsewhere."""
    try:
        return path.resolve().relative_to((root / ENGINES).resolve()).as_posix()
    except (OSError, ValueError, RuntimeError):  # it is no path at all, which who writes there says
        return None


def _of(count: int) -> str:
    return f", newest of {count}" if count > 1 else ""


def _nothing(pattern: Path, wanted: str, do: str) -> InputError:
    return InputError(f"no file matches {pattern}", wanted=wanted, do=do)


def _ambiguous(what: str, found: list[Path], command: str) -> InputError:
    named = ", ".join(map(str, found[:_MOST_NAMED])) + (" and others" if len(found) > _MOST_NAMED else "")
    return InputError(
        f"the newest of {len(found)} {what} is unknown", got=named, do=f"Choose one, for example: {command} {found[-1]}"
    )


def _write(path: Path, record: CurrentEngine | ExportedModel) -> None:
    fields = {"format": _FORMATS[type(record)].tag, **asdict(record)}
    with written_beside(path) as partial:
        partial.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def _read(path: Path, kind: type[Record]) -> Record | None:
    return read_artifact(path, kind, _FORMATS[kind]) if path.is_file() else None
