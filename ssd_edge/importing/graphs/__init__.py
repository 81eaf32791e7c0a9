"""SSDs that were exported to ONNX elsewhere, as graphs that obey our contract. Never imports torch."""
