"""Checkpoint to one self-describing ONNX with its NMS inside."""
