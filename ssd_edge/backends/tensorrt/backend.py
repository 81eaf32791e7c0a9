"""TensorRT and TensorRT-RTX on the GPU: runs engines of targets ``tensorrt`` and ``tensorrt-rtx``."""

from __future__ import annotations

import atexit
import queue
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType

from ssd_edge.backends.base import RawOutputs, check_batch
from ssd_edge.backends.cuda_driver import describe_gpu
from ssd_edge.backends.engine_check import Place, refuse_other_machine
from ssd_edge.backends.tensorrt.engine import settled
from ssd_edge.backends.tensorrt.module import TENSORRT, TENSORRT_RTX, load_tensorrt
from ssd_edge.backends.tensorrt.session import SLOTS, Job, Session
from ssd_edge.core.errors import DeviceError, InputError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.spec import ModelSpec

TARGETS = (TENSORRT, TENSORRT_RTX)
_AMPERE = 80
_PATIENCE_S = 3.0


class GpuThread:
    """Starts the thread and hands batches over.

    Raises:
        SsdEdgeError: the session cannot be opened.
    """

    def __init__(self, path: Path, manifest: EngineManifest) -> None:
        self._path, self._manifest = path, manifest
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._error: SsdEdgeError | None = None
        self._gone = threading.Event()
        opened: Future[tuple[int, int]] = Future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="ssd-edge-gpu", daemon=True)
        atexit.register(self._at_exit)
        self._thread.start()
        try:
            self.limits = opened.result()
        except BaseException:
            self.close()
            raise

    def run(self, batch: UInt8Array) -> RawOutputs:
        """Run a batch and wait for it; any thread may call."""
        waiting: Future[RawOutputs] = Future()
        with self._lock:
            if self._error is not None:
                raise self._error
            self._jobs.put((batch, waiting))
        return waiting.result()

    def close(self) -> None:
        """Finish what is in flight, give everything back and end the thread; a second call does nothing."""
        self._ask_to_end()
        try:
            self._gone.wait()
        except (KeyboardInterrupt, SystemExit):
            self._gone.wait(_PATIENCE_S)
            raise
        # Only now: until Python 3.12 a join that a signal interrupts takes the thread for ended from then on.
        self._thread.join()
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        """Wait where nobody has closed, or a signal came in between: ending over a thread in pycuda crashes Python."""
        self._ask_to_end()
        self._gone.wait(_PATIENCE_S)

    def _ask_to_end(self) -> None:
        with self._lock:
            self._error = self._error or DeviceError(f"{self._path} is closed", do="Load the model again.")
            self._jobs.put(None)

    def _work(self, opened: Future[tuple[int, int]]) -> None:
        try:
            self._own(opened)
        finally:
            self._gone.set()

    def _own(self, opened: Future[tuple[int, int]]) -> None:
        """Have the GPU from here to the end."""
        try:
            session = Session(self._path, self._manifest)
        except Exception as error:  # noqa: BLE001 - for the thread that waits for it
            opened.set_exception(settled(error, self._path))
            return
        opened.set_result(session.limits)
        failure: SsdEdgeError = DeviceError(f"{self._path} is closed")
        try:
            session.serve(self._jobs)
        except Exception as error:  # noqa: BLE001 - for those who wait, once all is given back
            failure = settled(error, self._path)
        finally:
            self._refuse(session, failure)
            session.close()

    def _refuse(self, session: Session, error: SsdEdgeError) -> None:
        """Give the error to all who wait and all who will come; where the thread was closed nobody waits."""
        with self._lock:
            self._error = self._error or error
        session.fail(error)
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None:
                job[1].set_exception(error)


class TrtBackend:
    """One engine on the first GPU, with two batches in flight: one is copied while the other is inferred.

    A thread of its own holds the GPU; callers hand their batches over and wait.

    Args:
        path: an ``.engine`` with its manifest.

    Raises:
        ArtifactError: an engine of another machine, a changed file, or one that needs a plugin that is not there.
        MissingPackageError: TensorRT or pycuda is not installed.
        DeviceError: there is no GPU, or it has too little memory.
    """

    def __init__(self, path: Path) -> None:
        manifest = read_manifest_for_gpu(path)
        manifest.refuse_if_changed(path)
        manifest.refuse_if_stale(path)
        self._path, self._spec = path, manifest.spec
        self._thread = GpuThread(path, manifest)

    @property
    def path(self) -> Path:
        """The engine's file."""
        return self._path

    @property
    def batch_limits(self) -> tuple[int, int | None]:
        """The fewest and the most images at a time, as the engine was built."""
        return self._thread.limits

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, from the manifest."""
        return self._spec

    @property
    def workers(self) -> int:
        """Threads that may call :meth:`infer` at once with profit."""
        return SLOTS

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the engine on (B, H, W, 3) uint8 BGR images of the spec's input size; any thread may call.

        Raises:
            InputError: the batch does not fit the model, or the sizes that the engine was built for.
            DeviceError: the GPU fails, or the backend is closed.
        """
        check_batch(batch, self._spec)
        low, high = self._thread.limits
        if not low <= len(batch) <= high:
            count = str(low) if low == high else f"{low} to {high}"
            raise InputError(
                f"{self._path} takes {count} images at a time",
                got=str(len(batch)),
                do="Build the engine for this batch size too: --batch "
                f"{min(low, len(batch))}:{high}:{max(high, len(batch))}",
            )
        return self._thread.run(batch)

    def close(self) -> None:
        """Give everything on the GPU back; a second call does nothing."""
        self._thread.close()

    def __enter__(self) -> TrtBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_manifest_for_gpu(path: Path) -> EngineManifest:
    """Return the manifest of an engine that the installed TensorRT may run on this GPU; its bytes are not looked at.

    Raises:
        ArtifactError: built by another version, or for another GPU; it names the command to rebuild.
        MissingPackageError: TensorRT is not installed.
        DeviceError: there is no GPU.
    """
    manifest = EngineManifest.load(manifest_path(path))
    version = str(load_tensorrt(manifest.target).__version__)
    gpu = describe_gpu()
    if not isinstance(gpu, dict):
        raise DeviceError(
            f"{path} needs an NVIDIA GPU", got=gpu or "no CUDA driver on this machine", do="Run: ssd-edge doctor"
        )
    major, minor = gpu["compute_capability"]
    device = f"{gpu['name']} sm_{major}{minor}"
    same_version = version == manifest.runtime_version or manifest.options.version_compatible
    fits = same_version and _fits(manifest, device, 10 * major + minor, is_integrated=bool(gpu["integrated"]))
    return refuse_other_machine(path, manifest, Place(manifest.target, version, device), fits=fits)


def _fits(manifest: EngineManifest, device: str, capability: int, *, is_integrated: bool) -> bool:
    """Whether an engine for the manifest's device runs on this one."""
    if manifest.target == TENSORRT_RTX:
        built_for = manifest.options.compute_capabilities
        return capability in built_for if built_for else capability >= _AMPERE
    if manifest.options.hardware_compatible and not is_integrated:  # a desktop's engine is not for a board
        return capability >= _AMPERE
    # The name may differ (a driver's spelling, an Orin NX for an Orin Nano); the plan is bound to the capability.
    return manifest.device.rpartition(" ")[2] == device.rpartition(" ")[2]
