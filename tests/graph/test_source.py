from __future__ import annotations

from pathlib import Path

import onnx

from ssd_edge.graph.source import read_onnx
from ssd_edge.quantization.qdq_ort import quantize
from tests.quantization.fake_table import table_for
from tests.quantization.int8_count import quantised_convolutions
from tests.quantization.square_model import square_model


def written(folder: Path, rename) -> Path:
    model = onnx.ModelProto()
    model.CopyFrom(square_model())
    for node in model.graph.node:
        node.name = rename(node)
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


def test_nodes_without_a_name_are_called_as_what_they_give(tmp_path: Path) -> None:
    found = read_onnx(written(tmp_path, lambda node: "")).model
    assert [node.name for node in found.graph.node] == [node.output[0] for node in found.graph.node]
    assert quantised_convolutions(quantize(found, table_for(found))) == 5


def test_no_two_nodes_have_the_same_name(tmp_path: Path) -> None:
    found = read_onnx(written(tmp_path, lambda node: "conv2" if node.op_type == "Conv" else "")).model
    names = [node.name for node in found.graph.node]
    assert len(set(names)) == len(names)
    assert names[[node.output[0] for node in found.graph.node].index("conv1")] == "conv2"  # the first one keeps it
    assert quantised_convolutions(quantize(found, table_for(found))) == 5


def test_names_of_their_own_stay(tmp_path: Path) -> None:
    found = read_onnx(written(tmp_path, lambda node: f"my {node.output[0]}")).model
    assert all(node.name == f"my {node.output[0]}" for node in found.graph.node)
