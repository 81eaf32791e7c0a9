"""ONNX to an engine with its manifest. Never imports torch."""
