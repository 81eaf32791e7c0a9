"""Multiply-adds, against PyTorch's own counter, and by hand for what SSDs do not have."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from ssd_edge.exporting.export_onnx import onnx_model
from ssd_edge.graph.cost import count_macs
from ssd_edge.model.zoo import build_model, make_spec, network_cost


@pytest.mark.parametrize("preset", ["ssd192-tiny", "ssdlite320-mobilenet-v3-large"])
def test_an_exported_network_costs_what_pytorch_counts(preset: str) -> None:
    size = 64 if preset == "ssd192-tiny" else None
    spec = make_spec(preset, ["a", "b"], input_size=size)
    graph = onnx_model(build_model(spec).eval(), "sha256:" + "0" * 64)
    assert count_macs(graph) == network_cost(spec).macs


def test_products_and_transposed_convolutions() -> None:
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),  # (b, 5, 7) x (7, 3)
        helper.make_node("Gemm", ["a", "b"], ["c"], transA=1),  # (4, 2)' x (4, 6)
        helper.make_node("ConvTranspose", ["p", "k"], ["q"]),  # (b, 2, 3, 3), filters (2, 4, 2, 2)
    ]
    tensor = helper.make_tensor
    weights = [
        tensor("w", TensorProto.FLOAT, (7, 3), [0.0] * 21),
        tensor("a", TensorProto.FLOAT, (4, 2), [0.0] * 8),
        tensor("b", TensorProto.FLOAT, (4, 6), [0.0] * 24),
        tensor("k", TensorProto.FLOAT, (2, 4, 2, 2), [0.0] * 32),
    ]
    inputs = [info("x", TensorProto.FLOAT, ("n", 5, 7)), info("p", TensorProto.FLOAT, ("n", 2, 3, 3))]
    outputs = [info(name, TensorProto.FLOAT, None) for name in ("y", "c", "q")]
    graph = helper.make_graph(nodes, "all", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert count_macs(model) == 5 * 7 * 3 + 2 * 4 * 6 + 18 * 16
