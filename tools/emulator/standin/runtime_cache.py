"""IRuntimeConfig, and the cache of kernels that TensorRT-RTX compiled."""

from __future__ import annotations

import json
from typing import Any

from tools.emulator.standin.memory import host_memory
from tools.emulator.standin.world import Field, TrtObject

_FORMAT = "standin-runtime-cache"


class IRuntimeCache(TrtObject):
    """Takes only what the same release made on the same kind of GPU, and is left as it was by anything else."""

    def __init__(self) -> None:
        self._kernels: set[str] = set()

    def serialize(self) -> Any:
        if self._world.device.problem():
            return None
        return host_memory(self._world, json.dumps([*self._origin(), sorted(self._kernels)]).encode())

    def deserialize(self, blob: Any) -> bool:
        if self._world.device.current() is None:
            self._world.device.fault("a runtime cache was loaded without a CUDA context")
            return False
        try:
            *origin, kernels = json.loads(bytes(memoryview(blob)))
        except (ValueError, TypeError):
            return False
        if origin != self._origin():
            return False
        self._kernels = set(kernels)
        return True

    def reset(self) -> bool:
        self._kernels = set()
        return True

    def _origin(self) -> list[Any]:
        return [_FORMAT, self._world.version, self._world.device.capability()]


class IRuntimeConfig(TrtObject):
    """How an execution context is to be made; in TensorRT itself it has no cache."""

    dynamic_shapes_kernel_specialization_strategy = Field("DynamicShapesKernelSpecializationStrategy", "LAZY")

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._cache: Any = None

    def create_runtime_cache(self) -> Any:
        return self._world.module.IRuntimeCache()

    def set_runtime_cache(self, cache: Any = None) -> bool:
        self._cache = cache
        return True

    def get_runtime_cache(self) -> Any:
        return self._cache
