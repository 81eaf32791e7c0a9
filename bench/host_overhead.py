"""Host time of a frame in our TensorRT runtime, everything but the engine: SSDLite320's tensors, batch 1.

Runs on the emulated CUDA driver (``make setup``) with an engine that does nothing, so what is measured is ours: the
hand-over to the thread that owns the GPU, the copy into pinned memory, events, the graph's launch, and the way back.
The copies between host and device, which a GPU does while the processor does something else, are left out of the first
figure and made by the processor in the second. In the third the GPU shares the processor's memory, as on a Jetson, and
there is nothing to copy.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from bench._figures import report
from ssd_edge.core.timing import time_calls
from tools.emulator.rehearse import rehearse
from tools.emulator.surroundings import READY

SIZE, KEPT, FRAMES, WANTED_MS = 320, 200, 3000, 0.15
LEFT_TO_GPU = "copies left to the GPU"
SURROUNDINGS = {
    LEFT_TO_GPU: {"SSD_EDGE_EMU_IDLE_COPIES": "1"},
    "copies by the processor": {},
    "memory shared with the GPU": {"SSD_EDGE_EMU_INTEGRATED": "1"},
}


def write_idle_engine(folder: Path) -> Path:
    from ssd_edge.core.files import file_digest
    from ssd_edge.core.manifest import EngineManifest, manifest_path
    from ssd_edge.core.spec import InputSpec
    from tests.backends.tiny_onnx import tiny_spec
    from tools.emulator.standin.plan import write_engine

    info = helper.make_tensor_value_info
    outputs = {"num_detections": (1,), "nmsed_boxes": (KEPT, 4), "nmsed_scores": (KEPT,), "nmsed_classes": (KEPT,)}
    kinds = (TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.FLOAT)
    constants = [
        helper.make_node(
            "Constant", [], [name], value=helper.make_tensor(name, kind, (1, *shape), np.zeros(int(np.prod(shape))))
        )
        for (name, shape), kind in zip(outputs.items(), kinds, strict=True)
    ]
    graph = helper.make_graph(
        constants,
        "idle",
        [info("images", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [info(name, kind, [1, *shape]) for (name, shape), kind in zip(outputs.items(), kinds, strict=True)],
    )
    path = folder / "idle.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    engine = folder / "idle.engine"
    write_engine(engine, path.read_bytes(), release="10.3", profile=(1, 1, 1), plugin=False)
    spec = tiny_spec("idle")
    spec = dataclasses.replace(
        spec, input=InputSpec(SIZE, SIZE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        nms=dataclasses.replace(spec.nms, keep_top_k=KEPT, top_k=KEPT, max_candidates=KEPT),
    )  # fmt: skip
    EngineManifest(
        spec=spec, target="tensorrt", precision="fp32", onnx=path.name, onnx_digest=file_digest(path),
        engine_digest=file_digest(engine), runtime="tensorrt", runtime_version="10.3.0", device="Emulated sm_87",
        batch=(1, 1, 1), built_at="2025-01-01T00:00:00+00:00",
    ).save(manifest_path(engine))  # fmt: skip
    return engine


def measure(folder: str, frames: int = FRAMES) -> dict[str, float]:
    """Runs on the emulator: milliseconds from a prepared image to the raw outputs."""
    from ssd_edge.backends.tensorrt.backend import TrtBackend

    batch = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    warm_up = frames // 30
    with TrtBackend(write_idle_engine(Path(folder))) as backend:
        frame = {"frame": lambda: backend.infer(batch)}
        spread = time_calls(frame, rounds=frames - warm_up, warm_up=warm_up)["frame"].spread
    return {"p50": spread.median, "p95": spread.p95, "p99": spread.p99}


def main() -> int:
    if not READY:
        print("the emulated CUDA driver is not built: make setup")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = {name: observe(folder, env) for name, env in SURROUNDINGS.items()}
    for name, (times, account) in found.items():
        report(f"host_overhead.{name.replace(' ', '-')}.p50.ms", times["p50"])
        figures = "  ".join(f"{quantile} {value:.3f}" for quantile, value in times.items())
        print(f"host overhead of a frame, ms, {name}: {figures}")
        if account["faults"]:
            print(f"the emulated driver complains: {account['faults']}")
            return 1
    print(f"wanted: p50 <= {WANTED_MS}, {LEFT_TO_GPU}")
    return 0 if found[LEFT_TO_GPU][0]["p50"] <= WANTED_MS else 1


def observe(folder: str, env: dict[str, str], frames: int = FRAMES) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the times, and the emulated driver's account."""
    idle = {"SSD_EDGE_STANDIN_IDLE": "1", **env}
    times, account = rehearse("bench.host_overhead:measure", env=idle, folder=folder, frames=frames)
    return times, account


if __name__ == "__main__":
    sys.exit(main())
