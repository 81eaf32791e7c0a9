"""The one place that imports OpenVINO: its devices, its options, and its exceptions as ours."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ssd_edge.backends.cpu import Threads
from ssd_edge.core.choices import Precision
from ssd_edge.core.environment import no_telemetry, unchanged_environment
from ssd_edge.core.errors import ArtifactError, DeviceError, InputError, MissingPackageError, one_line

PROCESSOR, AUTO = "CPU", "AUTO"
_DEVICE = re.compile(r"(cpu|npu|auto|gpu(?::\d{1,2})?)", re.IGNORECASE)
_FLOAT = {Precision.FP16: "f16", Precision.INT8_FP16: "f16", Precision.BF16: "bf16"}
_CAPABILITY = {"f16": "FP16", "bf16": "BF16"}
_PLACE = re.compile(r"Exception from \S+|failed at \S+")


def is_installed() -> bool:
    """Return whether OpenVINO can be found; it is not imported."""
    return importlib.util.find_spec("openvino") is not None


def load_openvino() -> Any:
    """Return the ``openvino`` module.

    Raises:
        MissingPackageError: it is not installed, or cannot be imported.
    """
    try:
        with unchanged_environment(), no_telemetry():
            import openvino
    except (ImportError, OSError) as error:
        raise MissingPackageError(
            "OpenVINO is not installed", got=str(error), do="Install it: pip install 'ssd-edge[openvino]'"
        ) from error
    return openvino


def openvino_version() -> str:
    """Return the version of the installed OpenVINO without the number of its build, e.g. ``2026.4.1``."""
    return str(load_openvino().__version__).partition("-")[0]


@cache
def core() -> Any:
    """Return the one ``openvino.Core``: plugins stay loaded from one model to the next."""
    return load_openvino().Core()


@dataclass(frozen=True)
class Settings:
    """Options for compiling a model.

    Attributes:
        device: of OpenVINO: ``CPU``, ``GPU``, ``GPU.1``, ``NPU`` or ``AUTO``.
        precision: of the engine: what is not INT8 computes in its float type.
        threads: how the processor's cores are spread; a GPU and an NPU have a layout of their own.
    """

    device: str
    precision: Precision
    threads: Threads

    @property
    def float_type(self) -> str:
        """The type of what is not INT8, as OpenVINO writes it."""
        return _FLOAT.get(self.precision, "f32")

    @property
    def properties(self) -> dict[str, Any]:
        """The options for OpenVINO: left alone, it computes float32 in bfloat16 or float16 where a device has them."""
        properties: dict[str, Any] = {"INFERENCE_PRECISION_HINT": self.float_type}
        if self.device == PROCESSOR:
            return {**properties, **self._on_processor}
        properties["PERFORMANCE_HINT"] = "LATENCY" if self.threads.workers == 1 else "THROUGHPUT"
        return (
            {**properties, "DEVICE_PROPERTIES": {PROCESSOR: self._on_processor}} if self.device == AUTO else properties
        )

    @property
    def _on_processor(self) -> dict[str, Any]:
        """Streams and threads. Threads that are pinned to cores wait there for other programs beside an idle core."""
        workers, threads = self.threads.workers, self.threads.workers * self.threads.per_worker
        return {"NUM_STREAMS": workers, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}


def device_named(name: str | None) -> str:
    """Return OpenVINO's name of a device; None is the processor, and ``auto`` leaves the choice to OpenVINO.

    Raises:
        InputError: it is none of cpu, gpu, gpu:N, npu and auto.
    """
    if name is None:
        return PROCESSOR
    if not _DEVICE.fullmatch(name):
        raise InputError(f"{name!r} is not a device of OpenVINO", wanted="cpu, gpu, gpu:1, npu or auto")
    return name.upper().replace(":", ".")


def check_device(settings: Settings) -> None:
    """Refuse a device that is not here, and a float type that it does not compute in.

    Raises:
        DeviceError: either of the two.
        MissingPackageError: OpenVINO is not installed.
    """
    device = settings.device
    if device == AUTO:
        return
    there = [str(name) for name in core().available_devices]
    if device not in there and f"{device}.0" not in there:
        raise DeviceError(
            f"OpenVINO finds no {device} on this machine",
            got=", ".join(there),
            do="Install the driver of the device, or leave out --device; see: ssd-edge doctor",
        )
    needed = _CAPABILITY.get(settings.float_type)
    if needed is not None and needed not in core().get_property(device, "OPTIMIZATION_CAPABILITIES"):
        raise DeviceError(
            f"the {device} of this machine does not compute in {settings.float_type}",
            got=full_name(device),
            do="Build without --fp16 and --bf16.",
        )


def full_name(device: str) -> str:
    """Return what a device calls itself, e.g. ``Intel(R) Xeon(R) Processor``."""
    return str(core().get_property(device, "FULL_DEVICE_NAME"))


@contextmanager
def openvino_errors(path: Path) -> Iterator[None]:
    """Turn whatever OpenVINO raises inside the block into one ArtifactError that names ``path``."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"OpenVINO {openvino_version()} cannot run {path}",
            got=_in_words(str(error)),
            do="Export the model again: ssd-edge export",
        ) from error


def _in_words(text: str) -> str:
    """Return an error without the lines that say where in OpenVINO's source it was raised."""
    return one_line(_PLACE.sub(" ", text))
