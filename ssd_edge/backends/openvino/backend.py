"""OpenVINO: runs engines of target ``openvino`` on the processor, a GPU or an NPU of Intel."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ssd_edge.backends.base import RawOutputs, check_batch
from ssd_edge.backends.cpu import Threads, cpu_device
from ssd_edge.backends.engine_check import Place, refuse_other_machine
from ssd_edge.backends.openvino.compiled import RequestPool, compile_engine
from ssd_edge.backends.openvino.module import PROCESSOR, Settings, device_named, openvino_errors, openvino_version
from ssd_edge.core.choices import Target
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.spec import ModelSpec

_OUTPUT_TYPES = ("i32", "f32", "f32", "f32")


class OpenVinoBackend:
    """One compiled model, whose shapes are fixed: a batch is as many asynchronous requests.

    On the processor each of ``threads.workers`` streams computes a request at a time; requests of all callers share
    them.

    Args:
        path: an ``.engine`` of target ``openvino`` with its manifest.
        threads: how to spread over the cores; for latency where it is not given.
        device: ``cpu``, ``gpu``, ``gpu:1``, ``npu`` or ``auto``; None for the processor.
        keep: what is compiled for the next start.

    Raises:
        ArtifactError: an engine of another machine, a changed file, or one that OpenVINO refuses.
        DeviceError: the device is not here.
        InputError: there is no such device.
        MissingPackageError: OpenVINO is not installed.
    """

    def __init__(
        self, path: Path, threads: Threads | None = None, device: str | None = None, *, keep: bool = True
    ) -> None:
        threads, named = threads or Threads.for_latency(), device_named(device)
        manifest = read_manifest_for_openvino(path)
        manifest.refuse_if_changed(path)
        manifest.refuse_if_stale(path)
        self._path, self._spec = path, manifest.spec
        settings = Settings(named, manifest.precision, threads)
        compiled = compile_engine(path, manifest.engine_digest if keep else "", settings)
        self._batch = check_contract(compiled, manifest.spec, path)
        self._pool: RequestPool | None = RequestPool(compiled)
        self._workers = threads.workers if named == PROCESSOR else _best_number(compiled)

    @property
    def path(self) -> Path:
        """The engine's file."""
        return self._path

    @property
    def batch_limits(self) -> tuple[int, int | None]:
        """The fewest and the most images at a time; None for no limit."""
        return self._batch, None if self._batch == 1 else self._batch

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, from the manifest."""
        return self._spec

    @property
    def workers(self) -> int:
        """Threads that may call :meth:`infer` at once with profit."""
        return self._workers

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the engine on (B, H, W, 3) uint8 BGR images of the spec's input size; any thread may call.

        Raises:
            InputError: the batch does not fit the model.
            ArtifactError: OpenVINO fails inside the graph, or the backend is closed.
        """
        check_batch(batch, self._spec)
        if self._batch not in (1, len(batch)):
            raise InputError(
                f"{self._path} takes {self._batch} images at a time",
                got=str(len(batch)),
                do="Export the model again with a dynamic batch size: ssd-edge export",
            )
        pool = self._pool  # another thread may close the backend meanwhile
        if pool is None:
            raise ArtifactError(f"{self._path} is closed", do="Load the model again.")
        with openvino_errors(self._path):
            return _inferred(pool, batch, self._batch)

    def close(self) -> None:
        """Drop the compiled model; OpenVINO frees its memory with the last request."""
        self._pool = None

    def __enter__(self) -> OpenVinoBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _inferred(pool: RequestPool, batch: UInt8Array, each: int) -> RawOutputs:
    """Start a request for every ``each`` images, wait for all, and return their outputs as one batch."""
    pixels = np.ascontiguousarray(batch)  # shared with OpenVINO, not copied
    parts = [pixels[first : first + each] for first in range(0, len(pixels), each)]
    with pool.lent(len(parts)) as requests:
        for request, part in zip(requests, parts, strict=True):
            request.start_async({INPUT_NAME: part}, share_inputs=True)
        for request in requests:
            request.wait()
        found = [[request.get_tensor(name).data.copy() for name in OUTPUT_NAMES] for request in requests]
    return RawOutputs(*(found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))))


def check_contract(compiled: Any, spec: ModelSpec, path: Path) -> int:
    """Return how many images a compiled model takes at a time.

    Raises:
        ArtifactError: its input or its outputs are others than the graph contract's.
    """
    shape, kept = compiled.inputs[0].partial_shape, spec.nms.keep_top_k
    batch = int(shape[0].get_length()) if shape.is_static else 1
    pixels = (INPUT_NAME, "u8", (batch, spec.input.height, spec.input.width, 3))
    rows = ((batch, 1), (batch, kept, 4), (batch, kept), (batch, kept))
    wanted = "; ".join(map(_line, [pixels, *zip(OUTPUT_NAMES, _OUTPUT_TYPES, rows, strict=True)]))
    found = "; ".join(
        f"{entry.any_name} {entry.element_type.get_type_name()} {entry.partial_shape}"
        for entry in (*compiled.inputs, *compiled.outputs)
    )
    if found != wanted:
        raise ArtifactError(
            f"{path} does not have the inputs and outputs of an ssd-edge model",
            got=found,
            wanted=wanted,
            do="Export the model again: ssd-edge export",
        )
    return batch


def _line(tensor: tuple[str, str, tuple[int, ...]]) -> str:
    """Return a tensor as OpenVINO writes it, e.g. ``images u8 [1,300,300,3]``."""
    name, kind, shape = tensor
    return f"{name} {kind} [{','.join(map(str, shape))}]"


def _best_number(compiled: Any) -> int:
    return int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))


def read_manifest_for_openvino(path: Path) -> EngineManifest:
    """Return the manifest of an engine that this OpenVINO may run on this machine; its bytes are not looked at.

    Raises:
        ArtifactError: no readable manifest, or another target, version or processor.
        MissingPackageError: OpenVINO is not installed.
    """
    manifest, here = EngineManifest.load(manifest_path(path)), Place(Target.OPENVINO, openvino_version(), cpu_device())
    return refuse_other_machine(path, manifest, here, fits=here == Place.of(manifest))
