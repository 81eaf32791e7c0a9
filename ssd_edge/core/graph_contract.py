"""Names that every reader and writer of our ONNX agrees on: tensors, the NMS node and the metadata keys."""

from __future__ import annotations

INPUT_NAME = "images"
OUTPUT_NAMES = ("num_detections", "nmsed_boxes", "nmsed_scores", "nmsed_classes")

NMS_DOMAIN = "trt.plugins"
NMS_OP = "BatchedNMSDynamic_TRT"
EFFICIENT_NMS = "EfficientNMS_TRT"

SPEC_KEY = "ssd_edge.spec"
DIGEST_KEY = "ssd_edge.checkpoint_digest"
VERSION_KEY = "ssd_edge.version"
ROUNDS_KEY = "ssd_edge.nms_rounds"
"""Most rounds that the suppression of the export's parity images took."""
VARIANT_KEY = "ssd_edge.variant"
"""In the metadata of a graph for another host: its form, in the place of the spec."""
