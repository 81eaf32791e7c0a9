"""BatchedNMSDynamic_TRT and EfficientNMS_TRT as NVIDIA's plugins compute them, by the textbook's greedy NMS."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.exporting.greedy_nms import as_outputs, greedy_nms
from tools.emulator.standin.releases import EFFICIENT_NMS

FIELDS = (
    "shareLocation", "backgroundLabelId", "numClasses", "topK", "keepTopK", "scoreThreshold", "iouThreshold",
    "isNormalized", "clipBoxes", "scoreBits", "caffeSemantics",
)  # fmt: skip
EFFICIENT_FIELDS = (
    "score_threshold", "iou_threshold", "max_output_boxes", "background_class", "score_activation", "box_coding",
)  # fmt: skip
_MOST = 4096
_MOST_EFFICIENT = 5000  # candidates, over all classes


def check_fields(node: onnx.NodeProto) -> str:
    """Return what is wrong with the node's attributes; empty where nothing is."""
    values = attributes(node)
    is_efficient = node.op_type == EFFICIENT_NMS
    absent = [name for name in (EFFICIENT_FIELDS if is_efficient else FIELDS) if name not in values]
    if absent:
        return f"{node.op_type}: field {absent[0]} is not set, and the plugin leaves it uninitialised"
    if is_efficient:
        return "" if values["iou_threshold"] > 0 else f"{node.op_type}: iou_threshold must be positive"
    if values.get("plugin_version", b"1") != b"1":
        return f"could not find plugin {node.op_type} version {values['plugin_version'].decode()}"
    if not values["keepTopK"] <= values["topK"] <= _MOST:
        return f"{node.op_type}: keepTopK <= topK <= {_MOST} does not hold"
    return ""


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes by name."""
    return {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}


def run_plugin(node: onnx.NodeProto, boxes: Any, scores: Any) -> list[Any]:
    """Return what the node's plugin gives for a batch."""
    return (efficient_nms if node.op_type == EFFICIENT_NMS else batched_nms)(node, boxes, scores)


def efficient_nms(node: onnx.NodeProto, boxes: Any, scores: Any) -> list[Any]:
    """Boxes (B, N, 4), scores (B, N, C); what equals a threshold passes it, classes are integers, padding is 0."""
    values = attributes(node)
    images = []
    for corners, given in zip(boxes, scores, strict=True):
        last = np.sort(given.ravel())[-_MOST_EFFICIENT:][0]
        wanted = np.where(given >= last, given, -np.inf).astype(np.float32)
        kept = greedy_nms(
            corners.astype(np.float32),
            wanted,
            score_threshold=_below(values["score_threshold"]),
            iou_threshold=_below(values["iou_threshold"]),
        )
        count, found, marks, classes = as_outputs(kept, corners, values["max_output_boxes"])
        images.append((count, found, marks, np.maximum(classes, 0).astype(np.int32)))
    return [np.stack(column) for column in zip(*images, strict=True)]


def _below(threshold: float) -> Any:
    """Return the next smaller float, which makes "more than" of "at least"."""
    return np.nextafter(np.float32(threshold), np.float32(-1))


def batched_nms(node: onnx.NodeProto, boxes: Any, scores: Any) -> list[Any]:
    """Return num_detections (B, 1), boxes (B, K, 4), scores (B, K) and classes (B, K) of a batch."""
    values = attributes(node)
    pictures = [_picture(values, *both) for both in zip(boxes, scores, strict=True)]
    return [np.stack(column) for column in zip(*pictures, strict=True)]


def _picture(values: dict[str, Any], boxes: Any, scores: Any) -> Any:
    """One image: boxes (N, 1, 4), scores (N, C)."""
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
