"""ONNX Runtime on the CPU: runs our ONNX as it is, and engines of target ``onnxruntime``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ssd_edge.backends.base import RawOutputs, check_batch
from ssd_edge.backends.contract import Tensor, read_spec
from ssd_edge.backends.cpu import cpu_device as cpu_device
from ssd_edge.backends.engine_file import read_manifest
from ssd_edge.backends.ort_session import open_session, ort_errors, ort_version
from ssd_edge.backends.threads import Threads
from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.core.manifest import EngineManifest
from ssd_edge.core.spec import ModelSpec

if TYPE_CHECKING:
    import onnxruntime

TARGET = "onnxruntime"
ENGINE_SUFFIX = ".engine"


class OrtBackend:
    """One ONNX Runtime session.

    All workers share it: a session with one thread computes on the thread that calls it, so N callers are N workers
    with one copy of the weights (measured as fast as N sessions).

    Args:
        path: an ``.onnx`` that ssd-edge exported, or an ``.engine`` of target ``onnxruntime`` with its manifest.
        threads: how to spread over the cores; for latency where it is not given.

    Raises:
        ArtefactError: not such a file, or an engine of another machine.
        MissingPackageError: ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, threads: Threads | None = None) -> None:
        self._threads = threads or Threads.for_latency()
        is_engine = path.suffix == ENGINE_SUFFIX
        if is_engine:
            manifest = check_engine(path)
            manifest.refuse_if_changed(path)
            manifest.refuse_if_stale(path)
        self._path = path
        # The builder optimised an engine's graph for this very processor; doing it again costs start-up time only.
        self._session: onnxruntime.InferenceSession | None = open_session(
            path, threads=self._threads.per_worker, spin=self._threads.spin, optimise=not is_engine
        )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._spec = read_spec(
            path,
            self._session.get_modelmeta().custom_metadata_map,
            tuple(Tensor(entry.name, entry.type, tuple(entry.shape)) for entry in inputs),
            tuple(Tensor(entry.name, entry.type, tuple(entry.shape)) for entry in outputs),
        )
        self._fixed_batch = inputs[0].shape[0] if isinstance(inputs[0].shape[0], int) else None

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, from the file's metadata."""
        return self._spec

    @property
    def workers(self) -> int:
        """Threads that may call :meth:`infer` at once with profit."""
        return self._threads.workers

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the graph on (B, H, W, 3) uint8 BGR pictures of the spec's input size; any thread may call.

        Raises:
            InputError: the batch does not fit the model.
            ArtefactError: ONNX Runtime fails inside the graph, or the backend is closed.
        """
        check_batch(batch, self._spec)
        if self._fixed_batch not in (None, len(batch)):
            raise InputError(
                f"{self._path} takes {self._fixed_batch} pictures at a time",
                got=str(len(batch)),
                do="Export it again with a free batch size: ssd-edge export",
            )
        if self._session is None:
            raise ArtefactError(f"{self._path} is closed", do="Open it again.")
        with ort_errors(self._path):
            return RawOutputs(*self._session.run(OUTPUT_NAMES, {INPUT_NAME: batch}))

    def close(self) -> None:
        """Drop the session; ONNX Runtime frees its memory with it."""
        self._session = None

    def __enter__(self) -> OrtBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_engine(path: Path) -> EngineManifest:
    """Return the manifest of an engine that ONNX Runtime may run on this machine; its bytes are not looked at.

    Raises:
        ArtefactError: see :func:`~ssd_edge.backends.engine_file.read_manifest`.
    """
    return read_manifest(path, target=TARGET, runtime_version=ort_version(), device=cpu_device())
