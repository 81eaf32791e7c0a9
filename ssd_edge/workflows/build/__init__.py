"""Build an engine from an exported ONNX."""
