"""The runs of a workspace: what each ``runs/*/best.pt`` is and when it was saved, read without PyTorch."""

from __future__ import annotations

import json
import pickle
import zipfile
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import ArtifactError, SsdEdgeError
from ssd_edge.core.files import written_beside
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.torch_zip import archive_members

BEST_NAME = "best.pt"
RECORD_NAME = "run.json"
_EVENTS = "tensorboard/events.out.tfevents.*"  # the fourth part of their names is the second in which the run began
_FORMAT = Format("ssd-edge/run/1", "record of a run", "Delete it; the run is then listed without a date.")


@dataclass(frozen=True)
class RunRecord:
    """Contents of ``runs/<name>/run.json``.

    Attributes:
        saved_at: when best.pt was written, ISO 8601 in UTC.
        origin: it was trained here, or imported from another project.
        source: the file that was imported; empty of a training.
    """

    saved_at: str
    origin: Literal["trained", "imported"]
    source: str = ""


@dataclass(frozen=True)
class Run:
    """A run with a checkpoint.

    Attributes:
        name: of its folder.
        checkpoint: its best.pt.
        saved_at: when that was saved, ISO 8601 in UTC; empty where nothing says it.
        origin: ``trained`` or ``imported``; empty where nothing says it.
        spec: of the model; None where the checkpoint cannot be read.
        metrics: what was measured when it was saved, e.g. ``{"mean_ap": 0.83}``.
        fault: why the checkpoint cannot be read; empty where it can.
    """

    name: str
    checkpoint: Path
    saved_at: str = ""
    origin: str = ""
    spec: ModelSpec | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    fault: str = ""

    @property
    def mean_ap(self) -> float | None:
        """Mean AP of the validation, 0 to 1; None where the checkpoint does not say."""
        return self.metrics.get("mean_ap")


def record_run(checkpoint: Path, origin: Literal["trained", "imported"], source: str = "") -> None:
    """Write beside a checkpoint that it was saved now.

    Raises:
        InputError: the folder cannot be written.
    """
    saved_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    fields = {"format": _FORMAT.tag, **asdict(RunRecord(saved_at, origin, source))}
    with written_beside(checkpoint.with_name(RECORD_NAME)) as partial:
        partial.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def list_runs(root: Path) -> list[Run]:
    """Return the runs below ``root`` that have a best.pt, in the order of their names, without a look into it."""
    return [_dated(path) for path in sorted(root.glob(f"runs/*/{BEST_NAME}")) if path.is_file()]


def read_run(run: Run) -> Run:
    """Return the run with what its checkpoint says of itself, or with the reason why it cannot be read."""
    try:
        spec, metrics = read_header(run.checkpoint)
    except SsdEdgeError as error:
        return Run(run.name, run.checkpoint, run.saved_at, run.origin, fault=str(error))
    return Run(run.name, run.checkpoint, run.saved_at, run.origin, spec, metrics)


def _dated(checkpoint: Path) -> Run:
    folder = checkpoint.parent
    try:
        record = read_artifact(folder / RECORD_NAME, RunRecord, _FORMAT, optional=frozenset({"source"}))
    except ArtifactError:  # a run of an older version has none
        return Run(folder.name, checkpoint, _begun_at(folder))
    return Run(folder.name, checkpoint, record.saved_at, record.origin)


def _begun_at(folder: Path) -> str:
    """Return when a run of an older version began, by its TensorBoard files; empty where it has none."""
    parts = [path.name.split(".") for path in folder.glob(_EVENTS)]
    seconds = [int(part[3]) for part in parts if len(part) > 3 and part[3].isdecimal()]
    return datetime.fromtimestamp(max(seconds), timezone.utc).isoformat(timespec="milliseconds") if seconds else ""


class _Header(pickle.Unpickler):
    """Reads the texts and numbers of a checkpoint; classes and tensors come out as None, and nothing is executed."""

    def find_class(self, _module: str, _name: str) -> Any:
        """Stand in for whatever the file asks for."""
        return _nothing

    def persistent_load(self, _tensor: Any) -> None:
        """Leave a tensor's bytes where they are."""


def _nothing(*_arguments: object) -> None:
    """Stand in for a class."""


def read_header(checkpoint: Path) -> tuple[ModelSpec, dict[str, float]]:
    """Return spec and metrics of a checkpoint, without its weights.

    Raises:
        ArtifactError: it is no checkpoint of ssd-edge, or damaged.
    """
    try:
        inside = next(name for name in archive_members(checkpoint) if name.endswith("/data.pkl"))
        with zipfile.ZipFile(checkpoint) as archive, archive.open(inside) as file:
            content = _Header(file).load()
        metrics = {str(name): float(value) for name, value in content["metrics"].items()}
        return ModelSpec.from_json(content["spec"], origin=str(checkpoint)), metrics
    except SsdEdgeError:
        raise
    except Exception as error:  # a damaged archive or pickle may make its parser raise anything
        raise _damaged(checkpoint, error) from error


def _damaged(checkpoint: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{checkpoint} cannot be read", got=str(error) or type(error).__name__, wanted="a checkpoint")
