from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.graph.source import read_graph, read_onnx
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


def without_outputs(model: onnx.ModelProto) -> None:
    del model.graph.node[2].output[:]


def reading_nothing(model: onnx.ModelProto) -> None:
    model.graph.node[-1].input[0] = "of nowhere"


def without_opsets(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def with_an_operator_of_its_own(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Doubling"


def in_circles(model: onnx.ModelProto) -> None:
    first = model.graph.node[0]
    model.graph.node.append(first)
    del model.graph.node[0]


@pytest.mark.parametrize(
    "damage", [without_outputs, reading_nothing, without_opsets, with_an_operator_of_its_own, in_circles]
)
def test_a_graph_whose_parts_do_not_go_together_is_refused(
    tmp_path: Path, damage: Callable[[onnx.ModelProto], None]
) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(square_model())
    damage(model)
    onnx.save(model, tmp_path / "m.onnx")
    for read in (read_onnx, read_graph):
        with pytest.raises(ArtifactError, match=r"m\.onnx is damaged: got .*; wanted a valid ONNX graph.*export"):
            read(tmp_path / "m.onnx")
