"""The device that an engine of TensorRT is bound to."""

from __future__ import annotations

from collections.abc import Sequence

from ssd_edge.backends.cuda_driver import describe_gpu
from ssd_edge.core.errors import DeviceError
from ssd_edge.engines.trt_release import Release


def bound_to(release: Release, compute_capabilities: Sequence[int]) -> str:
    """Return this GPU, e.g. ``Orin sm_87``, or the GPUs that TensorRT-RTX is asked to build for.

    Raises:
        DeviceError: TensorRT needs a GPU, and there is none.
    """
    if release.is_rtx:
        return "+".join(f"sm_{number}" for number in compute_capabilities) or "sm_80 and later"
    found = describe_gpu()
    if not isinstance(found, dict):
        raise DeviceError(
            "TensorRT builds on the GPU that shall run the engine",
            got=found or "no CUDA driver on this machine",
            do="Build on the device itself, or for --target onnxruntime; see: ssd-edge doctor",
        )
    major, minor = found["compute_capability"]
    return f"{found['name']} sm_{major}{minor}"
