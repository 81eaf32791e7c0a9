"""One stand-in for TensorRT, builder and runtime, with the names of a chosen release and its refusals.

A plan is an ONNX with a header (``plan.py``); what runs it is ONNX Runtime (``inference.py``) on the memory of the
emulated CUDA driver (``device.py``). Which names there are is NVIDIA's own (``../surface.py``).
"""
