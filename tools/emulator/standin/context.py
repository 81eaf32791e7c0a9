"""IExecutionContext: shapes, addresses, and the inference on a stream."""

from __future__ import annotations

import ctypes
import os
from functools import partial
from typing import Any

import numpy as np

from tools.emulator.standin.jobs import add_job, drop_jobs
from tools.emulator.standin.memory import Dims
from tools.emulator.standin.world import TrtObject

_ALIGNED = 256


class IExecutionContext(TrtObject):
    """Belongs to the CUDA context that was current when it was made."""

    def __init__(self, engine: Any, activations: int, *, fills_in: bool = False) -> None:
        self._fills_in = fills_in
        self._engine, self._logger, self._activations = engine, engine._logger, activations
        self._tensors = engine._inference.tensors
        self._device = self._world.device
        self._cuda_context = self._device.current()
        self._shape: tuple[int, ...] | None = None
        self._has_run = False  # since its shape was set: what TensorRT puts off until then cannot be captured
        self._addresses: dict[str, int] = {}
        self._numbers: list[int] = []
        self._profile = 0 if engine._profile_is_free(0) else -1
        if self._profile < 0:
            message = "Could not set default profile 0 for execution context. Profile index must be set explicitly."
            self._world.say(self._logger, "WARNING", message)

    @property
    def engine(self) -> Any:
        return self._engine

    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        if not 0 <= profile_index < self._engine.num_optimization_profiles:
            return self._refuse(f"profile {profile_index} does not exist")
        if profile_index != self._profile and not self._engine._profile_is_free(profile_index):
            return self._refuse(
                f"Profile {profile_index} has been chosen by another IExecutionContext. Use another profileIndex or "
                "destroy the IExecutionContext that use this profile."
            )
        self._profile, self._shape, self._has_run = profile_index, None, False
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        tensor = self._tensors.get(name)
        if tensor is None or not tensor.is_input:
            return self._refuse(f"no input {name}")
        if self._profile < 0:
            return self._refuse("set_input_shape: Parameter check failed, condition: mOptimizationProfile >= 0")
        low, _, high = self._engine._header.profiles[self._profile]
        shape = tuple(int(size) for size in shape)
        if shape != tensor.size(shape[0]) or not low <= shape[0] <= high or tensor.shape[0] not in (-1, shape[0]):
            return self._refuse(f"wrong shape: {name} {shape} is not in the profile {low}..{high} of {tensor.shape}")
        self._has_run = self._has_run and shape == self._shape
        self._shape = shape
        return True

    def get_tensor_shape(self, name: str) -> Dims:
        tensor = self._tensors[name]
        return Dims(tensor.size(self._shape[0]) if self._shape else tensor.shape)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if not isinstance(memory, int):
            raise TypeError(f"set_tensor_address(): incompatible function arguments: {memory!r}")
        if name not in self._tensors:
            return self._refuse(f"no tensor {name}")
        if memory % _ALIGNED:
            return self._refuse(f"the address of {name} is not aligned to {_ALIGNED} bytes")
        self._addresses[name] = memory
        return True

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def infer_shapes(self) -> list[str]:
        return [] if self._shape else [name for name, tensor in self._tensors.items() if tensor.is_input]

    @property
    def all_binding_shapes_specified(self) -> bool:
        return self._shape is not None

    def is_stream_capturable(self, stream: int) -> bool:
        return not self._why_not_captured()

    def _why_not_captured(self) -> str:
        """Return why TensorRT cannot be captured; a loop's condition is copied to the processor in each iteration."""
        if os.environ.get("SSD_EDGE_STANDIN_NO_GRAPH"):
            return "operation not permitted when stream is capturing"
        if self._engine._inference.has_loop and self._world.release in ("11.4", "rtx"):
            return "cudaErrorStreamCaptureUnsupported: the network has an ITripLimitLayer"
        if self._world.release == "rtx" and not self._engine._header.user_allocation:
            return "cudaErrorStreamCaptureUnsupported: built without REQUIRE_USER_ALLOCATION"
        return ""

    def execute_async_v3(self, stream_handle: int) -> bool:
        problem = self._problem()
        if problem:
            return self._refuse(problem)
        if self._device.is_captured(stream_handle) and (refusal := self._why_not_captured()):
            self._world.say(self._logger, "ERROR", refusal)
            return False
        if self._device.is_captured(stream_handle):
            self._note_what_a_graph_must_not_keep()
        # Not of this object: the job must not keep it alive.
        work = partial(_infer, self._device, self._engine._inference, dict(self._addresses), self._batch())
        number = add_job(work)
        self._numbers.append(number)
        touched = [*self._addresses.values(), self._activations, self._engine._weights]
        idle = bool(os.environ.get("SSD_EDGE_STANDIN_IDLE"))
        if self._device.enqueue(stream_handle, number, touched, idle=idle) != 0:
            self._world.say(self._logger, "ERROR", "Cuda Runtime (unknown error)")
            return False
        self._has_run = True
        return True

    def _note_what_a_graph_must_not_keep(self) -> None:
        if not self._has_run:
            self._device.fault("captured before it ran: a first enqueue updates what a graph must not hold")
        if self._fills_in:
            self._device.fault("a CUDA graph keeps kernels that only fill in until those for its shape are compiled")

    def _batch(self) -> int:
        return self._shape[0] if self._shape else self._engine._header.profiles[0][0]

    def _problem(self) -> str:
        if self._device.current() != self._cuda_context:
            return "wrong thread: the CUDA context of this execution context is not current"
        if self._shape is None and not self._engine._header.static:
            return "wrong shape: the input shape is not set"
        for name, tensor in self._tensors.items():
            if not self._addresses.get(name):
                return f"address not set: {name}"
            if self._device.room(self._addresses[name]) < tensor.bytes(self._batch()):
                return f"too little memory at the address of {name}"
        return ""

    def _refuse(self, message: str) -> bool:
        self._world.refuse(self._logger, message)
        return False

    def __del__(self) -> None:
        drop_jobs(self._numbers)
        if self._device.current() != self._cuda_context:
            self._device.fault("an execution context was destroyed without its CUDA context")
        self._device.free(self._activations)


def _infer(device: Any, inference: Any, addresses: dict[str, int], batch: int) -> None:
    """Run where the addresses point to by the time that the stream comes to it."""
    views = {}
    for name, tensor in inference.tensors.items():
        count = tensor.bytes(batch)
        host = device.host(addresses[name], count)
        if host is None:
            return
        raw = (ctypes.c_uint8 * count).from_address(host)
        views[name] = np.frombuffer(raw, np.uint8).view(tensor.dtype).reshape(tensor.size(batch))
    inference.run(views)
