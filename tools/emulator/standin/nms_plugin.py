"""BatchedNMSDynamic_TRT as NVIDIA's plugin computes it, by the textbook's greedy NMS."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.exporting.greedy_nms import as_outputs, greedy_nms

FIELDS = (
    "shareLocation", "backgroundLabelId", "numClasses", "topK", "keepTopK", "scoreThreshold", "iouThreshold",
    "isNormalized", "clipBoxes", "scoreBits", "caffeSemantics",
)  # fmt: skip
_MOST = 4096


def check_fields(node: onnx.NodeProto) -> str:
    """Return what is wrong with the node's attributes; empty where nothing is."""
    values = attributes(node)
    absent = [name for name in FIELDS if name not in values]
    if absent:
        return f"{node.op_type}: field {absent[0]} is not set, and the plugin leaves it uninitialised"
    if values.get("plugin_version", b"1") != b"1":
        return f"could not find plugin {node.op_type} version {values['plugin_version'].decode()}"
    if not values["keepTopK"] <= values["topK"] <= _MOST:
        return f"{node.op_type}: keepTopK <= topK <= {_MOST} does not hold"
    return ""


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes by name."""
    return {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}


def batched_nms(node: onnx.NodeProto, boxes: Any, scores: Any) -> list[Any]:
    """Return num_detections (B, 1), boxes (B, K, 4), scores (B, K) and classes (B, K) of a batch."""
    values = attributes(node)
    pictures = [_picture(values, *both) for both in zip(boxes, scores, strict=True)]
    return [np.stack(column) for column in zip(*pictures, strict=True)]


def _picture(values: dict[str, Any], boxes: Any, scores: Any) -> Any:
    """One picture: boxes (N, 1, 4), scores (N, C)."""
    corners, wanted = boxes.reshape(-1, 4).astype(np.float32), scores.astype(np.float32).copy()
    if values["backgroundLabelId"] >= 0:
        wanted[:, values["backgroundLabelId"]] = -np.inf
    for column in wanted.T:  # of each class the best topK only
        worse = np.argsort(-column, kind="stable")[values["topK"] :]
        column[worse] = -np.inf
    kept = greedy_nms(corners, wanted, score_threshold=values["scoreThreshold"], iou_threshold=values["iouThreshold"])
    if values["clipBoxes"]:
        corners = corners.clip(0, 1)
    return as_outputs(kept, corners, values["keepTopK"])
