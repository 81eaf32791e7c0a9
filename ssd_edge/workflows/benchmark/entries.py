"""Who takes part: files as they are given, a workspace's engines, presets that are built for the purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ssd_edge.backends.detector import read_manifest_for_here, usable_here
from ssd_edge.benchmarking.task import OURS, Task
from ssd_edge.core.files import is_file
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.workspace import list_engines, newest_model
from ssd_edge.workflows.benchmark.config import BenchConfig
from ssd_edge.workflows.open_model import MODEL_SUFFIXES

PT = ".pt"


@dataclass(frozen=True)
class Entry:
    """One contestant.

    Attributes:
        name: what it is called in tables; unique in a run.
        group: contestants of one network are compared with the first of their group.
        task: what its worker runs.
        precision: what it computes in; empty where it is not known.
        runtime: what computes.
        source: the exported ONNX that it was made of; None where there is none.
        checkpoint: that it was exported from; None where it is not here.
        note: what a reader must know, e.g. that it is another network.
        same_network: whether its detections can be compared with the reference's.
    """

    name: str
    group: str
    task: Task
    precision: str = ""
    runtime: str = ""
    source: Path | None = None
    checkpoint: Path | None = None
    note: str = ""
    same_network: bool = True

    @property
    def is_ours(self) -> bool:
        """Whether it is one of ssd-edge's."""
        return self.task.kind == OURS


def default_models(root: Path) -> list[Path]:
    """Return a workspace's current engine and the other engines of the same model here; else an ONNX.

    Raises:
        InputError: there is no model, or the current engine's can be used in no form.
    """
    choice = newest_model(root, read_manifest_for_here)
    choice.log()
    if choice.path.suffix != ".engine":
        return [choice.path]
    digest = EngineManifest.load(manifest_path(choice.path)).onnx_digest
    others = [path for path in list_engines(root) if path != choice.path and _is_of(path, digest)]
    return [choice.path, *others]


def _is_of(engine: Path, onnx_digest: str) -> bool:
    return usable_here(engine) and EngineManifest.load(manifest_path(engine)).onnx_digest == onnx_digest


def is_file_name(name: str) -> bool:
    """Whether an argument names a file; a preset has no such suffix."""
    return Path(name).suffix in MODEL_SUFFIXES


def of_files(paths: Sequence[Path], config: BenchConfig, images: tuple[str, ...], threads: int) -> list[Entry]:
    """Return the contestants of files; the same file twice is two contestants.

    Raises:
        ArtifactError: the manifest of an engine is missing or damaged.
    """
    return [_of_file(path, name, config, images, threads) for path, name in zip(paths, _labels(paths), strict=True)]


def _of_file(path: Path, name: str, config: BenchConfig, images: tuple[str, ...], threads: int) -> Entry:
    task = Task(OURS, str(path), images, threads, 1, config.score_threshold)
    if path.suffix == ".engine":
        made = EngineManifest.load(manifest_path(path))
        source = made.onnx_path(path)
        return Entry(
            name, made.spec.name, task, str(made.precision), str(made.target), source if is_file(source) else None
        )
    if path.suffix == PT:
        return Entry(name, path.parent.name if path.stem == "best" else path.stem, task, "fp32", "torch", None, path)
    return Entry(name, path.stem, task, "fp32", "onnxruntime", path)


def _labels(paths: Sequence[Path]) -> list[str]:
    """Return the files' names: with their folders where two have one name, numbered where one file is given twice."""
    names = [path.stem if path.suffix == ".engine" else path.name for path in paths]
    if len(set(names)) < len(set(paths)):
        names = [str(path) for path in paths]
    return [f"{name} #{names[: place + 1].count(name)}" if names.count(name) > 1 else name
            for place, name in enumerate(names)]  # fmt: skip


def with_same_groups(entries: Sequence[Entry]) -> list[Entry]:
    """Return the contestants; those of one exported model are in one group, whatever their files are called."""
    groups = {entry.source.resolve(): entry.group for entry in reversed(entries) if entry.source is not None}
    return [
        replace(entry, group=groups[entry.source.resolve()]) if entry.source is not None else entry for entry in entries
    ]
