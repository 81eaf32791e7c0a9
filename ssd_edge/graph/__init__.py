"""An exported ONNX: read once, edited by one editor, with its NMS."""
