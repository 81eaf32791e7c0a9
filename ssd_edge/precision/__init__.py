"""An exported ONNX to the same network in INT8 or FP16, and the tools that tell what it costs. Never imports torch."""
