"""Workspaces: create one, list its runs, choose the engine that ``run`` uses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_edge.backends.detector import read_manifest_for_here
from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder, path_kind
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.runs import Run, list_runs, read_run
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.workspace import last_built_engine, list_engines
from ssd_edge.core.workspace_records import ENGINES, clear_current, make_current
from ssd_edge.model.presets import preset_of

FOLDERS = ("runs", "calibration", ENGINES)
_MOST_NAMED = 8


@dataclass(frozen=True)
class InitResult:
    """A workspace.

    Attributes:
        path: its folder.
        made: the folders that were not there before.
        left_out: empty, as what is there stays.
    """

    path: Path
    made: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def init_workspace(folder: AnyPath = ".") -> InitResult:
    """Make the folders of a workspace where they are missing.

    Raises:
        InputError: one of them is a file, or cannot be written.
    """
    wanted = [Path(folder) / name for name in FOLDERS]
    made = tuple(path for path in wanted if path_kind(path) != "folder")
    for path in wanted:
        make_folder(path)
    return InitResult(Path(folder), made)


@dataclass(frozen=True)
class RunInfo:
    """A run with a checkpoint.

    Attributes:
        name: of its folder in ``runs/``.
        path: the checkpoint, best.pt.
        mean_ap: of its validation, 0 to 1; None where it was not validated, as of imported weights.
        preset: that it was trained from; empty where no preset of this version is the same network.
        architecture: of the network.
        input_size: width and height in pixels.
        class_names: of the real classes.
        saved_at: when best.pt was saved, ISO 8601 in UTC; empty where nothing says it.
        origin: ``trained`` or ``imported``; empty where nothing says it.
    """

    name: str
    path: Path
    mean_ap: float | None
    preset: str
    architecture: str
    input_size: tuple[int, int]
    class_names: tuple[str, ...]
    saved_at: str
    origin: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


@dataclass(frozen=True)
class RunsResult:
    """The runs of a workspace.

    Attributes:
        path: the folder that was looked into.
        runs: the newest first; those without a date last.
        left_out: runs whose checkpoint cannot be read.
    """

    path: Path
    runs: tuple[RunInfo, ...]
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def find_runs(*, workspace: AnyPath = ".") -> RunsResult:
    """List the runs of a workspace that have a checkpoint; PyTorch is not needed."""
    found = [read_run(run) for run in list_runs(Path(workspace))]
    newest_first = sorted(found, key=lambda run: run.saved_at, reverse=True)
    return RunsResult(
        Path(workspace) / "runs",
        tuple(_info(run, run.spec) for run in newest_first if run.spec is not None),
        tuple(LeftOut(str(run.checkpoint), run.fault) for run in found if run.spec is None),
    )


def _info(run: Run, spec: ModelSpec) -> RunInfo:
    return RunInfo(
        name=run.name,
        path=run.checkpoint,
        mean_ap=run.mean_ap,
        preset=preset_of(spec),
        architecture=spec.architecture,
        input_size=(spec.input.width, spec.input.height),
        class_names=spec.class_names,
        saved_at=run.saved_at,
        origin=run.origin,
    )


@dataclass(frozen=True)
class UseResult:
    """The engine that ``run`` takes from now on.

    Attributes:
        path: the engine.
        manifest: that belongs to it.
        is_pinned: it stays whatever is built; otherwise the next that is built takes its place.
        left_out: empty, as one engine was named.
    """

    path: Path
    manifest: EngineManifest
    is_pinned: bool
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def use_engine(engine: AnyPath | None = None, *, workspace: AnyPath = ".") -> UseResult:
    """Pin the engine that ``run`` takes, or unpin it.

    Args:
        engine: its path, its file's name with or without the suffix, or the name of a model that has one engine; None
            takes away the pin, so that the newest is taken again.
        workspace: the folder with ``engines/``.

    Raises:
        InputError: there is no such engine in the workspace, or the name means several.
        ArtifactError: its manifest is missing or damaged, or it was built for another machine.
        MissingPackageError: its runtime is not installed.
        DeviceError: it needs a GPU, and there is none.
    """
    root = Path(workspace)
    if engine is None:
        newest = last_built_engine(root, read_manifest_for_here).path
        clear_current(root)
        make_current(root, newest, "built")
        return UseResult(newest, EngineManifest.load(manifest_path(newest)), is_pinned=False)
    path = _named(str(engine), root)
    manifest = EngineManifest.load(manifest_path(path))
    manifest.refuse_if_changed(path)
    read_manifest_for_here(path)
    if make_current(root, path, "pinned") is None:
        raise _unknown(str(engine), root)
    return UseResult(path, manifest, is_pinned=True)


def _named(name: str, root: Path) -> Path:
    """Return the engine that a name or a path means."""
    engines = list_engines(root)
    path = Path(name)
    if path.suffix == ".engine" and path_kind(path) == "file":
        return path
    for known in ("name", "stem"):
        found = [path for path in engines if getattr(path, known) == name]
        if len(found) == 1:
            return found[0]
    found = [path for path in engines if path.parent.name == name or path.stem == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{name} matches {len(found)} engines", wanted=f"one of {', '.join(map(str, found))}")
    raise _unknown(name, root)


def _unknown(name: str, root: Path) -> InputError:
    engines = list_engines(root)
    wanted = ", ".join(path.stem for path in engines[:_MOST_NAMED]) + (", …" if len(engines) > _MOST_NAMED else "")
    return InputError(
        f"{name} is not an engine of this workspace",
        wanted=wanted or f"an engine in {root / ENGINES}",
        do="" if engines else "Build one: ssd-edge build",
    )
