"""Runtime: a plan becomes an engine, where release, device and plugins fit."""

from __future__ import annotations

import weakref
from typing import Any

from tools.emulator.standin.device import CudaError
from tools.emulator.standin.logger import check_logger
from tools.emulator.standin.plan import Header, PlanError, unpack
from tools.emulator.standin.world import Field, TrtObject

_AMPERE = 80


class Runtime(TrtObject):
    """Must outlive its engines."""

    engine_host_code_allowed = Field(bool, False)
    DLA_core = Field(int, -1)

    def __init__(self, logger: Any) -> None:
        check_logger(logger)
        self._logger = logger
        self._world.require_cuda(logger)
        self._engines: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def logger(self) -> Any:
        return self._logger

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802 - TensorRT's name
        return self._world.traits.dla_cores

    def get_plugin_registry(self) -> Any:
        return self._world.module.get_plugin_registry()

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        world = self._world
        content = bytes(memoryview(serialized_engine))  # TypeError for what is no buffer, as there
        if world.device.current() is None:
            return world.refuse(self._logger, "wrong thread: no current CUDA context")
        try:
            header, onnx = unpack(content)
        except PlanError as error:
            return world.refuse(self._logger, str(error), misuse=False)
        sm = world.device.capability()
        if sm == 0:
            return world.refuse(self._logger, "Cuda failure: unknown", misuse=False)
        problem = self._version_problem(header) or _device_problem(header, sm)
        if problem:
            return world.refuse(self._logger, problem, misuse=False)
        if header.dla is not None and not self._has_accelerator(header.dla):
            return world.refuse(self._logger, "the engine is for a DLA, and this device has none", misuse=False)
        if header.plugin and not world.plugins_ready:
            message = "plugin library not initialized: getPluginCreator could not find plugin"
            return world.refuse(self._logger, message)
        try:
            weights = world.device.allocate(len(onnx))
        except CudaError as error:
            return world.refuse(self._logger, str(error), misuse=False)
        engine = world.module.ICudaEngine(self._logger, header, onnx, weights)
        self._engines.add(engine)
        return engine

    def _has_accelerator(self, built_for: int) -> bool:
        """TensorRT runs the engine on the runtime's core, whichever it was built for: that is nothing to rely on."""
        core = max(0, self.DLA_core)
        if core != built_for:
            self._world.device.fault(f"an engine that was built for DLA core {built_for} runs on core {core}")
        return core < self.num_DLA_cores

    def _version_problem(self, header: Header) -> str:
        if header.version == self._world.version:
            return ""
        mine, other = (tuple(map(int, text.split(".")[:2])) for text in (self._world.version, header.version))
        if not header.version_compatible or mine < other or "rtx" in (self._world.release, header.release):
            return (
                "The engine plan file is not compatible with this version of TensorRT, expecting library version "
                f"{self._world.version} got {header.version}, please rebuild."
            )
        if not vars(self).get("_engine_host_code_allowed"):
            return "version compatible engines carry host code, and engine_host_code_allowed is not set"
        return ""

    def __del__(self) -> None:
        if len(getattr(self, "_engines", ())):
            self._world.device.fault("an engine outlives its runtime")


def _device_problem(header: Header, sm: int) -> str:
    fits = sm in header.sm or (header.hardware == "AMPERE_PLUS" and sm >= _AMPERE and min(header.sm) >= _AMPERE)
    if header.hardware == "SAME_COMPUTE_CAPABILITY":
        fits = sm in header.sm
    return "" if fits else "The engine plan file is generated on an incompatible device, please rebuild."
