"""The builder for TensorRT and TensorRT-RTX."""
