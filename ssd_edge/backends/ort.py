"""ONNX Runtime on the CPU: runs our ONNX as it is, and engines of target ``onnxruntime``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ssd_edge.backends.base import RawOutputs, check_batch
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.cpu import cpu_device as cpu_device
from ssd_edge.backends.engine_check import Place, refuse_other_machine
from ssd_edge.backends.ort_session import open_session, ort_errors, ort_version
from ssd_edge.core.choices import Target
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES, SPEC_KEY
from ssd_edge.core.manifest import ENGINE_SUFFIX, EngineManifest, manifest_path
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import ModelSpec

if TYPE_CHECKING:
    import onnxruntime


_OUTPUT_TYPES = ("tensor(int32)", "tensor(float)", "tensor(float)", "tensor(float)")


@dataclass(frozen=True)
class Tensor:
    """An input or output as the runtime reports it; a free dimension is a name or None."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name} {self.type.removeprefix('tensor(').removesuffix(')')} ({dims})"


def read_spec(
    path: Path, metadata: Mapping[str, str], inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> ModelSpec:
    """Return the spec of a graph that fulfils the contract (docs: "The graph contract").

    Raises:
        ArtifactError: no spec in the metadata, or inputs and outputs other than the contract's.
    """
    if SPEC_KEY not in metadata:
        raise ArtifactError(
            f"{path} was not exported by ssd-edge",
            got=_signature(inputs, outputs),
            wanted=f"an ONNX file with {SPEC_KEY!r} in its metadata",
            do=f"If it is an SSD of another project, import it: ssd-edge import {quoted(path)}",
        )
    spec = ModelSpec.from_json(metadata[SPEC_KEY], origin=str(path))
    _check_input(path, spec, inputs, outputs)
    _check_outputs(path, spec, inputs, outputs)
    return spec


def _check_input(path: Path, spec: ModelSpec, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
    wanted = (spec.input.height, spec.input.width, 3)
    found = [(entry.name, entry.type, entry.shape[1:]) for entry in inputs]
    if found != [(INPUT_NAME, "tensor(uint8)", wanted)]:
        _refuse(path, inputs, outputs, f"one input {INPUT_NAME} uint8 (B, {', '.join(map(str, wanted))})")


def _check_outputs(path: Path, spec: ModelSpec, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
    kept = spec.nms.keep_top_k
    shapes = ((1,), (kept, 4), (kept,), (kept,))
    found = [(entry.name, entry.type, len(entry.shape)) for entry in outputs]
    wanted = [(*pair, len(shape) + 1) for *pair, shape in zip(OUTPUT_NAMES, _OUTPUT_TYPES, shapes, strict=True)]
    # A free dimension is allowed: not every runtime infers shapes through the NMS node.
    fits = found == wanted and all(
        not isinstance(got, int) or got == want
        for entry, shape in zip(outputs, shapes, strict=True)
        for got, want in zip(entry.shape[1:], shape, strict=True)
    )
    if not fits:
        _refuse(path, inputs, outputs, f"{', '.join(OUTPUT_NAMES)} with {kept} rows")


def _refuse(path: Path, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], wanted: str) -> None:
    raise ArtifactError(
        f"{path} does not have the inputs and outputs of an ssd-edge model",
        got=_signature(inputs, outputs),
        wanted=wanted,
        do="Export the model again: ssd-edge export",
    )


def _signature(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> str:
    return f"{', '.join(map(str, inputs))} -> {', '.join(map(str, outputs))}"


TARGET = Target.ONNXRUNTIME


class OrtBackend:
    """One ONNX Runtime session.

    All workers share it: a session with one thread computes on the thread that calls it, so N callers are N workers
    with one copy of the weights (measured as fast as N sessions).

    Args:
        path: an ``.onnx`` that ssd-edge exported, or an ``.engine`` of target ``onnxruntime`` with its manifest.
        threads: how to spread over the cores; for latency where it is not given.

    Raises:
        ArtifactError: not such a file, or an engine of another machine.
        MissingPackageError: ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, threads: Threads | None = None) -> None:
        self._threads = threads or Threads.for_latency()
        is_engine = path.suffix == ENGINE_SUFFIX
        if is_engine:
            manifest = read_manifest_for_cpu(path)
            manifest.refuse_if_changed(path)
            manifest.refuse_if_stale(path)
        self._path = path
        # The builder optimized an engine's graph for this very processor; doing it again costs start-up time only.
        self._session: onnxruntime.InferenceSession | None = open_session(
            path, threads=self._threads.per_worker, spin=self._threads.spin, optimize=not is_engine
        )
        with ort_errors(path):  # names and metadata become text here
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            metadata = self._session.get_modelmeta().custom_metadata_map
        self._spec = read_spec(
            path,
            metadata,
            tuple(Tensor(entry.name, entry.type, tuple(entry.shape)) for entry in inputs),
            tuple(Tensor(entry.name, entry.type, tuple(entry.shape)) for entry in outputs),
        )
        self._fixed_batch = inputs[0].shape[0] if isinstance(inputs[0].shape[0], int) else None

    @property
    def path(self) -> Path:
        """The model's file."""
        return self._path

    @property
    def batch_limits(self) -> tuple[int, int | None]:
        """The fewest and the most images at a time; None for no limit."""
        return self._fixed_batch or 1, self._fixed_batch

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, from the file's metadata."""
        return self._spec

    @property
    def workers(self) -> int:
        """Threads that may call :meth:`infer` at once with profit."""
        return self._threads.workers

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the graph on (B, H, W, 3) uint8 BGR images of the spec's input size; any thread may call.

        Raises:
            InputError: the batch does not fit the model.
            ArtifactError: ONNX Runtime fails inside the graph, or the backend is closed.
        """
        check_batch(batch, self._spec)
        if self._fixed_batch not in (None, len(batch)):
            raise InputError(
                f"{self._path} takes {self._fixed_batch} images at a time",
                got=str(len(batch)),
                do="Export the model again with a dynamic batch size: ssd-edge export",
            )
        session = self._session  # another thread may close the backend meanwhile
        if session is None:
            raise ArtifactError(f"{self._path} is closed", do="Load the model again.")
        with ort_errors(self._path):
            return RawOutputs(*session.run(OUTPUT_NAMES, {INPUT_NAME: batch}))

    def close(self) -> None:
        """Drop the session; ONNX Runtime frees its memory with it."""
        self._session = None

    def __enter__(self) -> OrtBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_manifest_for_cpu(path: Path) -> EngineManifest:
    """Return the manifest of an engine that this ONNX Runtime may run on this processor; its bytes are not looked at.

    Raises:
        ArtifactError: no readable manifest, or another target, version or processor.
    """
    manifest, here = EngineManifest.load(manifest_path(path)), Place(TARGET, ort_version(), cpu_device())
    return refuse_other_machine(path, manifest, here, fits=here == Place.of(manifest))
