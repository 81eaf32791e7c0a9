"""ICudaEngine: what a plan says of itself, and its execution contexts."""

from __future__ import annotations

import weakref
from typing import Any

from tools.emulator.standin.device import CudaError
from tools.emulator.standin.inference import Inference
from tools.emulator.standin.memory import Dims
from tools.emulator.standin.plan import Header
from tools.emulator.standin.world import TrtObject

_ACTIVATIONS = 1 << 16


class ICudaEngine(TrtObject):
    """Must outlive its execution contexts."""

    def __init__(self, logger: Any, header: Header, onnx: bytes, weights: int) -> None:
        self._logger, self._header, self._weights = logger, header, weights
        self._contexts: weakref.WeakSet[Any] = weakref.WeakSet()
        self._inference = Inference(onnx)
        self._compiled: set[str] = set()

    @property
    def num_io_tensors(self) -> int:
        return len(self._inference.tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._header.profiles)

    @property
    def num_layers(self) -> int:
        return len(self._inference.layers)

    def get_tensor_name(self, index: int) -> str:
        return list(self._inference.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        known = self._inference.tensors.get(name)
        mode = "NONE" if known is None else "INPUT" if known.is_input else "OUTPUT"
        return getattr(self._world.module.TensorIOMode, mode)

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(self._inference.tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        return getattr(self._world.module.DataType, self._inference.tensors[name].type)

    def get_tensor_location(self, name: str) -> Any:
        return self._world.module.TensorLocation.DEVICE

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        tensor = self._inference.tensors[name]
        return [Dims(tensor.size(count)) for count in self._header.profiles[profile_index]]

    def create_runtime_config(self) -> Any:
        return self._world.module.IRuntimeConfig(self)

    def create_engine_inspector(self) -> Any:
        return self._world.module.EngineInspector(self)

    def create_execution_context(self, *options: Any) -> Any:
        world = self._world
        if world.device.current() is None:
            return world.refuse(self._logger, "wrong thread: no current CUDA context")
        try:
            activations = world.device.allocate(_ACTIVATIONS)
        except CudaError as error:
            return world.refuse(self._logger, str(error), misuse=False)
        if world.release == "rtx":
            self._compile(*options)
        context = world.module.IExecutionContext(self, activations, fills_in=self._fills_in(*options))
        self._contexts.add(context)
        return context

    def _compile(self, config: Any = None) -> None:
        """TensorRT-RTX compiles its kernels on the device, but for those that the runtime cache has."""
        cache = getattr(config, "_cache", None)
        known = self._compiled if cache is None else cache._kernels
        for layer in self._inference.layers:
            if layer not in known:
                self._world.compiled += 1
                known.add(layer)

    def _fills_in(self, config: Any = None) -> bool:
        """Whether kernels for any shape run until those for the very shape are compiled, as TensorRT-RTX has it."""
        if self._world.release != "rtx" or self._header.static:
            return False
        return config is None or config.dynamic_shapes_kernel_specialization_strategy.name != "EAGER"

    def _profile_is_free(self, index: int) -> bool:
        """Until 8.6 each execution context of a dynamic engine needs its own profile, unless they may be shared."""
        if self._header.shared_profiles or self._header.static:
            return True
        return all(context._profile != index for context in self._contexts)

    def __del__(self) -> None:
        if len(getattr(self, "_contexts", ())):
            self._world.device.fault("an engine was destroyed before its execution contexts")
        if self._world.device.current() is None:
            self._world.device.fault("an engine was destroyed without its CUDA context")
        self._world.device.free(self._weights)
