"""TensorRT and TensorRT-RTX on the GPU: runs engines of targets ``tensorrt`` and ``tensorrt-rtx``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from ssd_edge.backends.base import RawOutputs, check_batch
from ssd_edge.backends.cuda_driver import describe_gpu
from ssd_edge.backends.engine_file import refuse
from ssd_edge.backends.trt_module import TENSORRT, TENSORRT_RTX, load_tensorrt
from ssd_edge.backends.trt_session import SLOTS
from ssd_edge.backends.trt_thread import GpuThread
from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.spec import ModelSpec

TARGETS = (TENSORRT, TENSORRT_RTX)
_AMPERE = 80


class TrtBackend:
    """One engine on the first GPU, with two batches in flight: one is copied while the other is inferred.

    A thread of its own holds the GPU; callers hand their batches over and wait.

    Args:
        path: an ``.engine`` with its manifest.

    Raises:
        ArtefactError: an engine of another machine, a changed file, or one that needs a plugin that is not there.
        MissingPackageError: TensorRT or pycuda is not installed.
        DeviceError: there is no GPU, or it has too little memory.
    """

    def __init__(self, path: Path) -> None:
        manifest = check_engine(path)
        manifest.refuse_if_changed(path)
        manifest.refuse_if_stale(path)
        self._path, self._spec = path, manifest.spec
        self._thread = GpuThread(path, manifest)

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, from the manifest."""
        return self._spec

    @property
    def workers(self) -> int:
        """Threads that may call :meth:`infer` at once with profit."""
        return SLOTS

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the engine on (B, H, W, 3) uint8 BGR pictures of the spec's input size; any thread may call.

        Raises:
            InputError: the batch does not fit the model, or the sizes that the engine was built for.
            DeviceError: the GPU fails, or the backend is closed.
        """
        check_batch(batch, self._spec)
        low, high = self._thread.limits
        if not low <= len(batch) <= high:
            count = str(low) if low == high else f"{low} to {high}"
            raise InputError(
                f"{self._path} takes {count} pictures at a time",
                got=str(len(batch)),
                do=f"Build it for that too: --batch {min(low, len(batch))}:{high}:{max(high, len(batch))}",
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


def check_engine(path: Path) -> EngineManifest:
    """Return the manifest of an engine that the installed TensorRT may run on this GPU; its bytes are not looked at.

    Raises:
        ArtefactError: built by another version, or for another GPU; it names the command to rebuild.
        MissingPackageError: TensorRT is not installed.
        DeviceError: there is no GPU.
    """
    manifest = EngineManifest.load(manifest_path(path))
    version = str(load_tensorrt(manifest.target).__version__)
    gpu = describe_gpu()
    if not isinstance(gpu, dict):
        raise DeviceError(
            f"{path} needs an NVIDIA GPU", got=gpu or "no CUDA driver on this machine", do="See: ssd-edge doctor"
        )
    major, minor = gpu["compute_capability"]
    device = f"{gpu['name']} sm_{major}{minor}"
    same_version = version == manifest.runtime_version or "version_compatible" in manifest.options
    if not (same_version and _fits(manifest, device, 10 * major + minor)):
        raise refuse(path, manifest, (manifest.target, version, device))
    return manifest


def _fits(manifest: EngineManifest, device: str, capability: int) -> bool:
    """Whether an engine for the manifest's device runs on this one."""
    if manifest.target == TENSORRT_RTX:
        built_for = manifest.options.get("compute_capabilities")
        return str(capability) in built_for.split(",") if built_for else capability >= _AMPERE
    if "hardware_compatible" in manifest.options:
        return capability >= _AMPERE
    # The name may differ (a driver's spelling, an Orin NX for an Orin Nano); the plan is bound to the capability.
    return manifest.device.rpartition(" ")[2] == device.rpartition(" ")[2]
