"""A real TensorRT parser and builder, without a GPU."""

from __future__ import annotations

import platform

import onnx
import pytest


def built_by_tensorrt_rtx(model: onnx.ModelProto) -> int:
    """Build a strongly typed network for one generation of GPUs, batch 1 to 4 where it is free: the plan's bytes."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("TensorRT-RTX is for x86-64")
    trt = pytest.importorskip("tensorrt_rtx_bindings", reason="pip install 'ssd-edge[rtx]'")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse(model.SerializeToString())
    assert parsed, [str(parser.get_error(number)) for number in range(parser.num_errors)]
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    entry = network.get_input(0)
    sides = list(entry.shape)[1:]
    if entry.shape[0] < 0:
        profile.set_shape(entry.name, [1, *sides], [2, *sides], [4, *sides])
        config.add_optimization_profile(profile)
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    tensors = [entry, *(network.get_output(number) for number in range(network.num_outputs))]
    kinds = [tensor.dtype.name for tensor in tensors]
    assert kinds == [_KINDS[value.type.tensor_type.elem_type] for value in (*model.graph.input, *model.graph.output)]
    engine = builder.build_serialized_network(network, config)
    assert engine is not None
    return int(engine.nbytes)


_KINDS = {onnx.TensorProto.FLOAT: "FLOAT", onnx.TensorProto.UINT8: "UINT8", onnx.TensorProto.INT32: "INT32"}
