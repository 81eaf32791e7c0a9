"""A workspace: the folder with runs/, calibration/ and engines/ in which commands find their own input.

What is newest never goes by the time of a file, which copying changes: it goes by what commands wrote down.

* ``engines/current.json`` names the engine that ``run`` takes: the last that ``build`` made, or one that
  ``ssd-edge use`` pinned. Where it cannot be used, only another form of the same model takes its place. Without the
  record the newest engine is the one with the latest ``built_at`` in its manifest.
* ``engines/exported.json`` names the ONNX that ``calibrate`` and ``build`` take: the last that ``export`` or
  ``import`` made. Without it they take the only ONNX there is, or the one that the current engine was built from.
* ``runs/<name>/run.json`` says when a checkpoint was saved, for ``export``; see :mod:`ssd_edge.core.runs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.choices import Target
from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import DeviceError, InputError, MissingPackageError, SsdEdgeError
from ssd_edge.core.files import is_file, is_folder
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.runs import Run, list_runs
from ssd_edge.core.shell import quoted
from ssd_edge.core.workspace_records import ENGINES, CurrentEngine, read_current, read_exported

PRETRAINED = "torchvision:ssdlite320_mobilenet_v3_large"
"""A detector to begin with where there is none: as ``import --from`` takes it."""
_TARGETS = tuple(f".{target}" for target in Target)  # end the stem of a lowered graph: m.int8.tensorrt.onnx
_MOST_NAMED = 4
Check = Callable[[Path], object]
"""Raises SsdEdgeError for an engine that cannot be used."""


@dataclass(frozen=True)
class Choice:
    """A file chosen by default.

    Attributes:
        note: message for the log, e.g. ``using engines/m/m.onnx, newest of 3``.
        warning: why it is not the file that the workspace names; empty where it is.
    """

    path: Path
    note: str
    warning: str = ""

    def log(self) -> None:
        """Log what was chosen, and why it had to be another file."""
        if self.warning:
            log.warning(self.warning)
        log.info(self.note)


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
        InputError: there is none; the last is gone and there are others; or nothing says which of several is the last.
    """
    found = _exported(_whole_files(root, "*.onnx"))
    if not found:
        raise _nothing(root / "engines/*/*.onnx", "an exported model", _to_get_a_model(root))
    noted = read_exported(root)
    if noted is not None:
        newest = noted.path(root)
        if not is_file(newest):
            raise _export_is_gone(root, newest, found)
        return Choice(newest, f"using {newest}{_of(len({*found, newest}))}")
    if len(found) == 1:
        return Choice(found[0], f"using {found[0]}")
    built = _onnx_of_newest_engine(root, found)
    if built is None:
        raise _ambiguous("exported models", found, "ssd-edge build")
    return Choice(built, f"using {built}, from which the newest engine was built, of {len(found)}")


def _export_is_gone(root: Path, onnx: Path, found: list[Path]) -> InputError:
    return InputError(
        f"{onnx}, the model that was exported last, does not exist any more",
        got=f"other exported models: {_named(found)}",
        do=f"Export it again: {_export_command(root, onnx.parent.name)}. "
        f"Or name another model, for example: ssd-edge build {quoted(found[-1])}",
    )


def _export_command(root: Path, name: str) -> str:
    """Return the command that exports the model of that name, of which perhaps no run is left."""
    checkpoint = root / "runs" / name / "best.pt"
    return f"ssd-edge export {quoted(checkpoint) if is_file(checkpoint) else 'CHECKPOINT'}"


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
        onnx = _onnx_of(newest_engine(root).path)
    except SsdEdgeError:
        return None
    return next((path for path in found if onnx is not None and path.resolve() == onnx.resolve()), None)


def _check_nothing(engine: Path) -> None:
    """Accept any engine."""


def last_built_engine(root: Path, check: Check = _check_nothing) -> Choice:
    """Return the newest engine by the manifests, whatever is current.

    Args:
        root: the workspace.
        check: raises SsdEdgeError for an engine that cannot be used.

    Raises:
        InputError: there is none, or none can be used.
    """
    engines = _usable(root, check)
    if not engines:
        raise _no_engine(root, check)
    return _newest_of(engines)


def newest_engine(root: Path, check: Check = _check_nothing) -> Choice:
    """Return the current engine, or another of the same model; the newest by the manifests where none is current.

    Args:
        root: the workspace.
        check: raises SsdEdgeError for an engine that cannot be used.

    Raises:
        InputError: there is none, or none of the current engine's model can be used.
        ArtifactError: ``engines/current.json`` is damaged.
    """
    if (current := read_current(root)) is not None:
        return _of_current_model(root, current, check, or_onnx=False)
    return last_built_engine(root, check)


def _no_engine(root: Path, check: Check) -> InputError:
    """Return the error where no engine can be used; of those that are there, it says of one why."""
    do = "Build one: ssd-edge build"
    there = list_engines(root)
    if not there:
        return _nothing(root / "engines/*/*.engine", "an engine for this machine", do)
    fault = _fault(root, there[-1], check)
    got = _named(there) if fault is None else f"{_named(there)}; {_without_remedy(fault)}"
    return InputError("no engine can be used here", got=got, wanted="an engine for this machine", do=do)


def newest_model(root: Path, check: Check) -> Choice:
    """Return what ``run`` takes: the current engine, or another engine or the ONNX of the same model.

    Where none is current it is the newest engine, and where no engine can be used the newest ONNX.

    Args:
        root: the workspace.
        check: raises SsdEdgeError for an engine that cannot be used.

    Raises:
        InputError: there is no model, or the current engine's can be used in no form.
        ArtifactError: ``engines/current.json`` is damaged.
    """
    if (current := read_current(root)) is not None:
        return _of_current_model(root, current, check, or_onnx=True)
    if engines := _usable(root, check):
        return _newest_of(engines)
    choice = newest_onnx(root)
    log.info(f"no engine for this machine in engines/; to build one: ssd-edge build {quoted(choice.path)}")
    return choice


def _of_current_model(root: Path, current: CurrentEngine, check: Check, *, or_onnx: bool) -> Choice:
    """Return the current engine, or with a warning another form of its model, never another model."""
    named = current.path(root)
    engines = _usable(root, check)
    fault = _fault(root, named, check)
    if fault is None:
        is_only = current.why == "built" and {named, *engines} == {named}
        return Choice(named, f"using {named}" + ("" if is_only else f", {current.reason}"))
    why = f"the current engine ({current.reason}) cannot be used"
    same = {
        path: built_at
        for path, built_at in engines.items()
        if _is_same_model(path, named) and _fault(root, path, _check_fresh) is None
    }
    taken = _last_built(same) if same else _onnx_of(named) if or_onnx else None
    if taken is None:
        other = f" Or use another: ssd-edge use {quoted(_last_built(engines))}" if engines else ""
        remedy = fault.do if isinstance(fault, DeviceError | MissingPackageError) else _rebuild(root, named)
        raise InputError(why, got=_without_remedy(fault), do=f"{remedy.rstrip('.')}.{other}")
    return Choice(taken, f"using {taken}, of the same model", f"{why}: {fault}")


def _check_fresh(engine: Path) -> None:
    """Refuse an engine whose ONNX has changed since it was built."""
    if (manifest := _manifest_or_none(engine)) is not None:
        manifest.refuse_if_stale(engine)


def _usable(root: Path, check: Check) -> dict[Path, str]:
    """Return the engines that can be used, with the time at which each was built."""
    return {path: _built_at(path) for path in _whole_files(root, "*.engine") if _fault(root, path, check) is None}


def _last_built(engines: dict[Path, str]) -> Path:
    return max(engines, key=lambda path: (engines[path], path))


def _newest_of(engines: dict[Path, str]) -> Choice:
    newest = _last_built(engines)
    return Choice(newest, f"using {newest}{_of(len(engines))}")


def _fault(root: Path, engine: Path, check: Check) -> SsdEdgeError | None:
    """Return why an engine cannot be used; None where it can."""
    if not is_file(engine):
        return InputError(f"{engine} does not exist", do=_rebuild(root, engine))
    try:
        check(engine)
    except SsdEdgeError as error:
        return error
    return None


def _without_remedy(fault: SsdEdgeError) -> str:
    return str(SsdEdgeError(fault.what, got=fault.got, wanted=fault.wanted))


def _rebuild(root: Path, engine: Path) -> str:
    """Say how to build an engine again, of which perhaps nothing is left."""
    manifest, onnx = _manifest_or_none(engine), _onnx_of(engine)
    if onnx is not None:
        command = f"ssd-edge build {quoted(onnx)}" if manifest is None else manifest.build_command(engine)
        return f"Build the engine again: {command}"
    name = engine.parent.name if manifest is None else manifest.spec.name
    return f"Export its model and build the engine again: {_export_command(root, name)}, then ssd-edge build"


def _is_same_model(engine: Path, other: Path) -> bool:
    """Compare the models of two engines: what they were built from, or the folders where a manifest is missing."""
    one, two = _manifest_or_none(engine), _manifest_or_none(other)
    if not (one and two):
        return engine.parent == other.parent
    in_one_folder = engine.parent == other.parent and one.spec.class_names == two.spec.class_names
    return one.spec.name == two.spec.name and (in_one_folder or one.onnx_digest == two.onnx_digest)


def _onnx_of(engine: Path) -> Path | None:
    """Return the ONNX that an engine was built from, or else the only one in its folder; None where there is none."""
    manifest = _manifest_or_none(engine)
    if manifest is not None:
        return onnx if is_file(onnx := manifest.onnx_path(engine)) else None
    beside = _exported(filter(_is_whole, engine.parent.glob("*.onnx"))) if is_folder(engine.parent) else []
    return beside[0] if len(beside) == 1 else None


def _exported(found: Iterable[Path]) -> list[Path]:
    """Leave out the graphs that ``build --keep-graph`` wrote."""
    return [path for path in found if Path(path.stem).suffix not in _TARGETS]


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
    choice.log()
    return choice.path


def list_engines(root: Path) -> list[Path]:
    """Return the engines of the workspace that have a manifest, in the order of their paths."""
    return [path for path in _whole_files(root, "*.engine") if manifest_path(path).is_file()]


def _built_at(engine: Path) -> str:
    """Return when an engine was built; an empty text, older than any date, where its manifest does not say."""
    manifest = _manifest_or_none(engine)
    return "" if manifest is None else manifest.built_at


def _manifest_or_none(engine: Path) -> EngineManifest | None:
    path = manifest_path(engine)
    try:
        return EngineManifest.load(path) if is_file(path) else None
    except SsdEdgeError:
        return None


def _whole_files(root: Path, pattern: str) -> list[Path]:
    """Return the files one folder below ``engines/``."""
    return sorted(path for path in root.glob(f"{ENGINES}/*/{pattern}") if _is_whole(path))


def _is_whole(path: Path) -> bool:
    """Whether a path is a file. Hidden ones are half-written: a killed process leaves them."""
    return not path.name.startswith(".") and path.is_file()


def _of(count: int) -> str:
    return f", newest of {count}" if count > 1 else ""


def _nothing(pattern: Path, wanted: str, do: str) -> InputError:
    return InputError(f"no file matches {pattern}", wanted=wanted, do=do)


def _ambiguous(what: str, found: list[Path], command: str) -> InputError:
    return InputError(
        f"the newest of {len(found)} {what} is unknown",
        got=_named(found),
        do=f"Choose one, for example: {command} {found[-1]}",
    )


def _named(found: list[Path]) -> str:
    return ", ".join(map(str, found[:_MOST_NAMED])) + (" and others" if len(found) > _MOST_NAMED else "")
