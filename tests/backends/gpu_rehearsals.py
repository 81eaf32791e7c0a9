"""What the tests of CUDA and of the stages of an engine run on the emulated GPU, each in a process of its own."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import onnx

from ssd_edge.backends.cuda import Cuda, what_is_held
from ssd_edge.backends.tensorrt.backend import TrtBackend
from ssd_edge.backends.tensorrt.profile import measure_stages
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path
from tests.backends.trt_rehearsals import picture, write_tiny_engine
from tools.emulator.rehearse import inject, report
from tools.emulator.standin.plan import write_engine
from tools.emulator.surroundings import capability


def stages(folder: str, frames: int = 3) -> dict[str, Any]:
    """The times of the stages, and what the engine found in the last frame of each mode."""
    measured = measure_stages(write_tiny_engine(folder), picture(0), frames=frames)
    cuda = Cuda()
    binding = cuda.binding
    cuda.close()
    rows = [(times.upload, times.compute, times.download, times.enqueue, times.host) for times in measured]
    return {
        "binding": binding,
        "modes": [times.mode for times in measured],
        "counts": sorted({len(column) for row in rows for column in row}),
        "least": min(value for row in rows for column in row for value in column),
        "outputs": len({times.outputs for times in measured}),
        "held": what_is_held(),
    }


def stages_of_a_gpu_that_fails(folder: str) -> list[dict[str, Any]]:
    """Let each kernel of a measurement fail in turn."""
    engine = write_tiny_engine(folder)
    before = report()["kernels"]
    measure_stages(engine, picture(0), frames=1)
    answers = []
    for number in range(report()["kernels"] - before):
        inject("heal", 0)
        inject("kernel", number)
        error = ""
        try:
            measure_stages(engine, picture(0), frames=1)
        except SsdEdgeError as caught:
            error = str(caught)
        answers.append({"error": error, "held": what_is_held(), "report": report()})
    inject("heal", 0)
    return answers


def closed_by_another_thread() -> list[list[str]]:
    """What closing says on another thread, and then on the owner's."""
    cuda = Cuda()
    cuda.buffer((4,), np.float32)
    said: list[list[str]] = []
    other = threading.Thread(target=lambda: said.append(cuda.close()))
    other.start()
    other.join()
    return [*said, cuda.close()]


def other_tensors(folder: str) -> str:
    """Open an engine one of whose outputs has another name."""
    path = write_tiny_engine(folder)
    model = onnx.load(path.with_name("bright.onnx"))
    for names in ([model.graph.output[1]], model.graph.node):
        for entry in names:
            if isinstance(entry, onnx.NodeProto):
                entry.output[:] = ["boxes" if name == "nmsed_boxes" else name for name in entry.output]
            else:
                entry.name = "boxes"
    write_engine(path, model.SerializeToString(), release="10.3", sm=capability("10.3"), profile=(1, 1, 4), plugin=True)
    manifest = EngineManifest.load(manifest_path(path))
    dataclasses.replace(manifest, engine_digest=file_digest(path)).save(manifest_path(path))
    try:
        TrtBackend(path).close()
    except SsdEdgeError as error:
        return f"{type(error).__name__}: {error}"
    return ""
