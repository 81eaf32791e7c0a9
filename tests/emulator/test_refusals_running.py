"""What TensorRT refuses while it runs, or what is undefined there, the stand-in refuses or reports: one misuse each."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.tiny_onnx import KEPT, SIZE, write_tiny_onnx
from tools.emulator.rehearse import needs_emulator, rehearse
from tools.emulator.standin.plan import Header, pack, unpack, write_engine

HERE = "tests.emulator.test_refusals_running"
BYTES = {
    "images": 4 * SIZE * SIZE * 3, "num_detections": 16, "nmsed_boxes": 64 * KEPT, "nmsed_scores": 16 * KEPT,
    "nmsed_classes": 16 * KEPT,
}  # fmt: skip


class Bench:
    """An engine that is right in everything, until a misuse changes one thing."""

    def __init__(self, plan: bytes) -> None:
        from ssd_edge.backends.cuda import Cuda

        self.trt = importlib.import_module("tensorrt")
        said = self.said = []  # type: ignore[var-annotated]

        class Logger(self.trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                type(self).__mro__[1].__init__(self)

            def log(self, severity: Any, message: str) -> None:
                said.append(message)

        self.plan, self.logger = plan, Logger()
        self.trt.init_libnvinfer_plugins(self.logger, "")
        self.runtime = self.trt.Runtime(self.logger)
        self.cuda = Cuda()
        self.stream = self.cuda.stream()
        self.buffers = {name: self.cuda.buffer((count,), np.uint8) for name, count in BYTES.items()}
        self.engine = self.runtime.deserialize_cuda_engine(plan)
        self.context = self.engine.create_execution_context()
        self.context.set_input_shape("images", (1, SIZE, SIZE, 3))
        for name, buffer in self.buffers.items():
            self.context.set_tensor_address(name, buffer.device)

    def enqueue(self) -> bool:
        return bool(self.context.execute_async_v3(self.stream.handle))

    def close(self) -> None:
        self.context = None
        self.engine = None
        self.runtime = None
        self.stream = None  # type: ignore[assignment]
        self.buffers = {}
        self.cuda.close()


def nothing(bench: Bench) -> None:
    assert bench.enqueue()
    bench.stream.synchronize()


def shape_not_set(bench: Bench) -> None:
    fresh = bench.engine.create_execution_context()
    assert not fresh.execute_async_v3(bench.stream.handle)


def shape_beyond_the_profile(bench: Bench) -> None:
    assert not bench.context.set_input_shape("images", (5, SIZE, SIZE, 3))
    assert not bench.context.set_input_shape("images", (1, SIZE, SIZE, 4))
    assert not bench.context.set_input_shape("nmsed_boxes", (1, KEPT, 4))


def profile_that_is_not_there(bench: Bench) -> None:
    assert not bench.context.set_optimization_profile_async(1, bench.stream.handle)


def address_not_set(bench: Bench) -> None:
    bench.context.set_tensor_address("nmsed_boxes", 0)
    assert not bench.enqueue()


def address_not_aligned(bench: Bench) -> None:
    assert not bench.context.set_tensor_address("images", bench.buffers["images"].device + 8)


def address_of_no_tensor(bench: Bench) -> None:
    assert not bench.context.set_tensor_address("image", bench.buffers["images"].device)


def too_little_memory(bench: Bench) -> None:
    bench.context.set_tensor_address("images", bench.buffers["num_detections"].device)
    assert not bench.enqueue()


def memory_that_is_freed(bench: Bench) -> None:
    assert bench.enqueue()
    kinds = [what for what, _ in bench.cuda._release]
    _, release = bench.cuda._release.pop(len(kinds) - 1 - kinds[::-1].index("device memory"))
    release()
    with pytest.raises(Exception, match="illegal"):
        bench.stream.synchronize()


def another_thread(bench: Bench) -> None:
    results: list[bool] = []
    worker = threading.Thread(target=lambda: results.append(bench.enqueue()))
    worker.start()
    worker.join()
    assert results == [False]


def context_dropped_while_it_runs(bench: Bench) -> None:
    assert bench.enqueue()
    bench.context = None
    with pytest.raises(Exception, match="illegal"):
        bench.stream.synchronize()


def engine_dropped_before_its_context(bench: Bench) -> None:
    bench.context._engine = None
    bench.engine = None


def runtime_dropped_before_its_engine(bench: Bench) -> None:
    bench.runtime = None


def no_current_cuda_context(bench: Bench) -> None:
    worker = threading.Thread(target=lambda: bench.runtime.deserialize_cuda_engine(bench.plan))
    worker.start()
    worker.join()


def plan_of_another_device(bench: Bench) -> None:
    header, onnx = unpack(bench.plan)
    header.sm = [72]
    assert bench.runtime.deserialize_cuda_engine(pack(header, onnx)) is None


def host_code_not_allowed(bench: Bench) -> None:
    header, onnx = unpack(bench.plan)
    older = Header(**{**vars(header), "version": "8.6.2", "release": "8.6", "version_compatible": True})
    assert bench.runtime.deserialize_cuda_engine(pack(older, onnx)) is None
    said = bench.said[-1]
    bench.runtime.engine_host_code_allowed = True
    assert bench.runtime.deserialize_cuda_engine(pack(older, onnx)) is not None
    bench.said.append(said)


def plan_that_is_no_buffer(bench: Bench) -> None:
    with pytest.raises(TypeError):
        bench.runtime.deserialize_cuda_engine("text")
    bench.said.append("TypeError")


MISUSES: dict[Callable[[Bench], None], tuple[str, bool]] = {
    nothing: ("", False),
    shape_not_set: ("the input shape is not set", True),
    shape_beyond_the_profile: ("is not in the profile 1..4", True),
    profile_that_is_not_there: ("profile 1 does not exist", True),
    address_not_set: ("address not set: nmsed_boxes", True),
    address_not_aligned: ("the address of images is not aligned to 256 bytes", True),
    address_of_no_tensor: ("no tensor image", True),
    too_little_memory: ("too little memory at the address of images", True),
    memory_that_is_freed: ("use after free", True),
    another_thread: ("the CUDA context of this execution context is not current", True),
    context_dropped_while_it_runs: ("use after free", True),
    engine_dropped_before_its_context: ("an engine was destroyed before its execution contexts", True),
    runtime_dropped_before_its_engine: ("an engine outlives its runtime", True),
    no_current_cuda_context: ("no current CUDA context", True),
    plan_of_another_device: ("generated on an incompatible device", False),
    host_code_not_allowed: ("engine_host_code_allowed is not set", False),
    plan_that_is_no_buffer: ("TypeError", False),
}


def misuse(folder: str, name: str) -> list[str]:
    """Runs on the emulated GPU; returns what TensorRT said."""
    path = Path(folder) / "a.engine"
    onnx = write_tiny_onnx(Path(folder) / "bright.onnx").read_bytes()
    write_engine(path, onnx, release="10.3", profile=(1, 1, 4), plugin=False)
    bench = Bench(path.read_bytes())
    globals()[name](bench)
    said = list(bench.said)
    bench.close()
    return said


@needs_emulator
@pytest.mark.parametrize("spoil", MISUSES, ids=lambda spoil: spoil.__name__)
def test_a_misuse_is_refused_or_reported(tmp_path: Path, spoil: Callable[[Bench], None]) -> None:
    wanted, is_fault = MISUSES[spoil]
    said, report = rehearse(f"{HERE}:misuse", folder=str(tmp_path), name=spoil.__name__)
    assert wanted in "\n".join([*said, *report["faults"]])
    assert bool(report["faults"]) == is_fault, report["faults"]
    assert is_fault or wanted or said == []
