"""A ``tensorrt`` module with the runtime surface of a chosen release, on the emulated driver.

An engine is an ONNX with a header. ``execute_async_v3`` queues its inference by ONNX Runtime as a kernel that reads and
writes the addresses it was given, and refuses what TensorRT refuses; every refusal is a fault in the driver's report.
"""

from __future__ import annotations

import ctypes
import enum
import json
import os
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

RELEASES = {
    "8.5": "8.5.3.1",
    "8.6": "8.6.2",
    "10.3": "10.3.0",
    "10.16": "10.16.1.11",
    "11.4": "11.4.0.106",
    "rtx": "1.7.1.116",
}
NMS_PLUGIN = "BatchedNMSDynamic_TRT"
MAGIC = b"standin-engine\n"
WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5

    def __str__(self) -> str:
        return f"DataType.{self.name}"


class Dims(tuple):  # type: ignore[type-arg]
    pass


OF_ONNX = {
    "tensor(uint8)": (DataType.UINT8, np.uint8),
    "tensor(int32)": (DataType.INT32, np.int32),
    "tensor(float)": (DataType.FLOAT, np.float32),
}


def write_engine(
    path: Path, onnx: bytes, *, release: str, sm: int, profile: tuple[int, int, int], plugin: bool
) -> None:
    header = {"release": RELEASES[release], "sm": sm, "profile": profile, "plugin": plugin}
    path.write_bytes(MAGIC + json.dumps(header).encode() + b"\n" + onnx)


def driver() -> ctypes.CDLL:
    library = ctypes.CDLL("libcuda.so.1")
    library.emu_current.restype = ctypes.c_void_p
    library.emu_resolve.restype = ctypes.c_void_p
    library.emu_resolve.argtypes = [ctypes.c_ulonglong, ctypes.c_size_t]
    library.emu_room.restype = ctypes.c_size_t
    library.emu_room.argtypes = [ctypes.c_ulonglong]
    library.emu_enqueue.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_ulonglong), ctypes.c_int,
    ]  # fmt: skip
    return library


def make_module(release: str) -> ModuleType:
    """Return the module; put it into ``sys.modules`` as ``tensorrt`` or ``tensorrt_rtx``."""
    import onnxruntime

    cuda = driver()
    jobs: dict[int, Any] = {}
    state = {"plugins": False, "next": 1}
    has_nms = release not in ("11.4", "rtx")

    @WORK
    def run_job(number: int) -> None:
        job = jobs.get(number)
        if job is None:
            cuda.emu_fault(b"inference in an execution context that is destroyed")
            return
        job()

    class ILogger:
        class Severity(enum.IntEnum):
            INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity
        errors: list[str]

        def __init__(self, *_: Any) -> None:
            pass

        def log(self, severity: Any, message: str) -> None:
            raise NotImplementedError

    def refuse(logger: ILogger, message: str, *, misuse: bool = True) -> None:
        logger.log(ILogger.ERROR, message)
        if misuse:
            cuda.emu_fault(message.encode())

    class IExecutionContext:
        def __init__(self, engine: ICudaEngine) -> None:
            self._engine, self._logger = engine, engine._logger
            self._cuda_context = cuda.emu_current()
            self._shape: tuple[int, ...] | None = None
            self._addresses: dict[str, int] = {}
            self._numbers: list[int] = []
            engine._contexts.add(self)

        def set_input_shape(self, name: str, shape: Any) -> bool:
            wanted = self._engine._shapes.get(name)
            low, _, high = self._engine._profile
            shape = tuple(shape)
            if wanted is None or shape[1:] != tuple(wanted)[1:] or not low <= shape[0] <= high:
                refuse(self._logger, f"wrong shape: {name} {shape} is not in the profile {low}..{high} of {wanted}")
                return False
            self._shape = shape
            return True

        def set_tensor_address(self, name: str, address: int) -> bool:
            if name not in self._engine._shapes:
                refuse(self._logger, f"no tensor {name}")
                return False
            self._addresses[name] = address
            return True

        def infer_shapes(self) -> list[str]:
            return [] if self._shape else ["images"]

        def execute_async_v3(self, stream_handle: int) -> bool:
            problem = self._problem()
            if problem:
                refuse(self._logger, problem)
                return False
            if os.environ.get("SSD_EDGE_STANDIN_NO_GRAPH"):
                status = ctypes.c_int()
                cuda.cuStreamIsCapturing(ctypes.c_void_p(stream_handle), ctypes.byref(status))
                if status.value:
                    self._logger.log(ILogger.ERROR, "operation not permitted when stream is capturing")
                    return False
            addresses, shape = dict(self._addresses), self._shape
            number = state["next"]
            state["next"] += 1
            jobs[number] = lambda: engine_run(addresses, shape)
            self._numbers.append(number)
            if len(self._numbers) > 8 and not os.environ.get("SSD_EDGE_STANDIN_NO_GRAPH"):
                refuse(self._logger, "plain enqueue in the loop, where a CUDA graph was to be used")
            engine_run = self._engine._run
            touched = (ctypes.c_ulonglong * len(addresses))(*addresses.values())
            work = ctypes.cast(
                cuda.emu_nothing if os.environ.get("SSD_EDGE_STANDIN_IDLE") else run_job, ctypes.c_void_p
            )
            if cuda.emu_enqueue(stream_handle, work, number, touched, len(addresses)) != 0:
                self._logger.log(ILogger.ERROR, "Cuda Runtime (unknown error)")
                return False
            return True

        def _problem(self) -> str:
            if cuda.emu_current() != self._cuda_context:
                return "wrong thread: the CUDA context of this execution context is not current"
            if self._shape is None:
                return "wrong shape: the input shape is not set"
            for name, (shape, dtype) in self._engine._sizes(self._shape[0]).items():
                if name not in self._addresses:
                    return f"address not set: {name}"
                if cuda.emu_room(self._addresses[name]) < int(np.prod(shape)) * np.dtype(dtype).itemsize:
                    return f"too little memory at the address of {name}"
            return ""

        def __del__(self) -> None:
            for number in self._numbers:
                jobs.pop(number, None)
            if cuda.emu_current() != self._cuda_context:
                cuda.emu_fault(b"an execution context was destroyed without its CUDA context")

    class ICudaEngine:
        def __init__(self, runtime: Runtime, header: dict[str, Any], onnx: bytes) -> None:
            self._logger, self._profile = runtime._logger, header["profile"]
            self._contexts: weakref.WeakSet[IExecutionContext] = weakref.WeakSet()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.log_severity_level = 1, 4
            self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
            tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            self._shapes = {each.name: Dims([-1, *each.shape[1:]]) for each in tensors}
            self._types = {each.name: OF_ONNX[each.type] for each in tensors}
            self._outputs = [each.name for each in self._session.get_outputs()]
            runtime._engines.add(self)

        @property
        def num_io_tensors(self) -> int:
            return len(self._shapes)

        def get_tensor_name(self, number: int) -> str:
            return list(self._shapes)[number]

        def get_tensor_shape(self, name: str) -> Dims:
            return self._shapes[name]

        def get_tensor_dtype(self, name: str) -> DataType:
            return self._types[name][0]

        def get_tensor_profile_shape(self, name: str, profile: int) -> list[Dims]:
            return [Dims((count, *self._shapes[name][1:])) for count in self._profile]

        def create_execution_context(self, *config: Any) -> IExecutionContext | None:
            if cuda.emu_current() is None:
                refuse(self._logger, "wrong thread: no current CUDA context")
                return None
            if cuda.emu_allocate_for_context() != 0:
                refuse(self._logger, "Cuda Runtime (out of memory)", misuse=False)
                return None
            return IExecutionContext(self)

        def _sizes(self, batch: int) -> dict[str, tuple[tuple[int, ...], Any]]:
            return {name: ((batch, *shape[1:]), self._types[name][1]) for name, shape in self._shapes.items()}

        def _run(self, addresses: dict[str, int], shape: tuple[int, ...]) -> None:
            views = {}
            for name, (size, dtype) in self._sizes(shape[0]).items():
                count = int(np.prod(size)) * np.dtype(dtype).itemsize
                host = cuda.emu_resolve(addresses[name], count)
                if host is None:
                    return
                raw = (ctypes.c_uint8 * count).from_address(host)
                views[name] = np.frombuffer(raw, np.uint8).view(dtype).reshape(size)
            values = self._session.run(self._outputs, {"images": views["images"]})
            for name, value in zip(self._outputs, values, strict=True):
                views[name][...] = value

        def __del__(self) -> None:
            if len(getattr(self, "_contexts", ())):
                cuda.emu_fault(b"an engine was destroyed before its execution contexts")

    class Runtime:
        def __init__(self, logger: ILogger) -> None:
            self._logger = logger
            self._engines: weakref.WeakSet[ICudaEngine] = weakref.WeakSet()
            self.engine_host_code_allowed = False

        def deserialize_cuda_engine(self, plan: bytes) -> ICudaEngine | None:
            if cuda.emu_current() is None:
                return refuse(self._logger, "wrong thread: no current CUDA context")
            if not plan.startswith(MAGIC):
                return refuse(self._logger, "Magic tag does not match", misuse=False)
            header, _, onnx = plan[len(MAGIC) :].partition(b"\n")
            fields = json.loads(header)
            major, minor = ctypes.c_int(), ctypes.c_int()
            if cuda.cuDeviceComputeCapability(ctypes.byref(major), ctypes.byref(minor), 0) != 0:
                return refuse(self._logger, "Cuda failure: unknown", misuse=False)
            if fields["release"] != RELEASES[release]:
                return refuse(self._logger, "The engine plan file is not compatible with this version", misuse=False)
            if fields["sm"] != 10 * major.value + minor.value:
                return refuse(self._logger, "generated on an incompatible device", misuse=False)
            if fields["plugin"] and not state["plugins"]:
                return refuse(self._logger, "plugin library not initialised: getPluginCreator could not find plugin")
            return ICudaEngine(self, fields, onnx)

        def __del__(self) -> None:
            if len(self._engines):
                cuda.emu_fault(b"an engine outlives its runtime")

    class Creator:
        def __init__(self, name: str) -> None:
            self.name = name

    class Registry:
        pass

    names = ([NMS_PLUGIN] if has_nms else []) + ["EfficientNMS_TRT"]

    def creators(_: Any) -> list[Creator]:
        return [Creator(name) for name in names] if state["plugins"] else []

    if has_nms:
        Registry.plugin_creator_list = property(creators)  # type: ignore[attr-defined]
    if release not in ("8.5", "8.6"):
        Registry.all_creators = property(creators)  # type: ignore[attr-defined]

    def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
        state["plugins"] = True
        return True

    if release == "rtx":
        _add_runtime_cache(ICudaEngine)
    module = ModuleType("tensorrt_rtx" if release == "rtx" else "tensorrt")
    module.__dict__.update(
        __version__=RELEASES[release], ILogger=ILogger, Runtime=Runtime, ICudaEngine=ICudaEngine, DataType=DataType,
        IExecutionContext=IExecutionContext, init_libnvinfer_plugins=init_libnvinfer_plugins,
        get_plugin_registry=Registry, standin_state=state,
    )  # fmt: skip
    return module


def _add_runtime_cache(engine: Any) -> None:
    """Give the engine what TensorRT-RTX has."""

    class Cache:
        content = b"compiled"

        def serialize(self) -> bytes:
            return self.content

        def deserialize(self, content: bytes) -> bool:
            return content == self.content

    class RuntimeConfig:
        def create_runtime_cache(self) -> Cache:
            return Cache()

        def set_runtime_cache(self, cache: Cache) -> bool:
            return True

    engine.create_runtime_config = lambda self: RuntimeConfig()
