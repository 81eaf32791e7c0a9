"""A hand-made graph that fulfils the contract: it finds the bright rectangle of a dark image, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as Tp
from onnx import helper

from ssd_edge.core.spec import AnchorLevel, AnchorSpec, InputSpec, ModelSpec, NmsSpec

SIZE = 64
KEPT = 3
SCORE = 0.75
CLASS_NAMES = ("cat", "dog", "Fußgänger")
FOUND_CLASS = 1


def tiny_spec(name: str = "bright") -> ModelSpec:
    return ModelSpec(
        name=name,
        architecture="hand-made",
        input=InputSpec(SIZE, SIZE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        anchors=AnchorSpec((AnchorLevel(1, 1, (1.0, 1.0), ((0.5, 0.5),)),)),
        class_names=CLASS_NAMES,
        nms=NmsSpec(top_k=10, keep_top_k=KEPT, max_candidates=10),
    )


def write_tiny_onnx(path: Path, *, shift: float = 0.0, batch: int | str = "batch", with_spec: bool = True) -> Path:
    """Write the model; ``shift`` moves every box right and down by that fraction, ``batch`` may fix the size."""
    model = helper.make_model(_graph(shift, batch), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if with_spec:
        helper.set_model_props(model, {"ssd_edge.spec": tiny_spec(path.stem).to_json()})
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def _graph(shift: float, batch: int | str) -> onnx.GraphProto:
    node = helper.make_node
    nodes = [
        node("Cast", ["images"], ["pixels"], to=Tp.FLOAT),
        node("ReduceMean", ["pixels"], ["grey"], axes=[3], keepdims=0),
        node("Greater", ["grey", "level"], ["bright"]),
        node("Cast", ["bright"], ["mask"], to=Tp.FLOAT),
        node("ReduceMax", ["mask"], ["cols"], axes=[1], keepdims=0),
        node("ReduceMax", ["mask"], ["rows"], axes=[2], keepdims=0),
        node("ReduceMax", ["cols"], ["found"], axes=[1], keepdims=1),
        node("ArgMax", ["cols"], ["left"], axis=1, keepdims=1),
        node("ArgMax", ["rows"], ["top"], axis=1, keepdims=1),
        node("ArgMax", ["cols"], ["last_col"], axis=1, keepdims=1, select_last_index=1),
        node("ArgMax", ["rows"], ["last_row"], axis=1, keepdims=1, select_last_index=1),
        node("Add", ["last_col", "one"], ["right"]),
        node("Add", ["last_row", "one"], ["bottom"]),
        node("Concat", ["left", "top", "right", "bottom"], ["corners"], axis=1),
        node("Cast", ["corners"], ["corners_f"], to=Tp.FLOAT),
        node("Mul", ["corners_f", "per_pixel"], ["unit"]),
        node("Add", ["unit", "shift"], ["shifted"]),
        node("Mul", ["shifted", "found"], ["box"]),
        node("Unsqueeze", ["box", "one"], ["box_row"]),
        node("Pad", ["box_row", "pad_boxes"], ["nmsed_boxes"]),
        node("Mul", ["found", "score"], ["score_row"]),
        node("Pad", ["score_row", "pad_rows"], ["nmsed_scores"]),
        node("Mul", ["found", "class_plus_one"], ["class_up"]),
        node("Add", ["class_up", "minus_one"], ["class_row"]),
        node("Pad", ["class_row", "pad_rows", "minus_one"], ["nmsed_classes"]),
        node("Cast", ["found"], ["num_detections"], to=Tp.INT32),
    ]
    constants = {
        "level": np.float32(128),
        "one": np.array([1], np.int64),
        "per_pixel": np.float32(1 / SIZE),
        "shift": np.float32(shift),
        "score": np.float32(SCORE),
        "class_plus_one": np.float32(FOUND_CLASS + 1),
        "minus_one": np.float32(-1),
        "pad_boxes": np.array([0, 0, 0, 0, KEPT - 1, 0], np.int64),
        "pad_rows": np.array([0, 0, 0, KEPT - 1], np.int64),
    }
    info = helper.make_tensor_value_info
    return helper.make_graph(
        nodes,
        "bright",
        [info("images", Tp.UINT8, [batch, SIZE, SIZE, 3])],
        [
            info("num_detections", Tp.INT32, [batch, 1]),
            info("nmsed_boxes", Tp.FLOAT, [batch, KEPT, 4]),
            info("nmsed_scores", Tp.FLOAT, [batch, KEPT]),
            info("nmsed_classes", Tp.FLOAT, [batch, KEPT]),
        ],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
