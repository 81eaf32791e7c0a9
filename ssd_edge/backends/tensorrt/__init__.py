"""TensorRT and TensorRT-RTX as runtimes."""
