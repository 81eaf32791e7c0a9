"""The editor keeps what is read, also from inside of a branch, and lets no name mean two things."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnxruntime
import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.graph.editor import Graph, drop_unread_constants, tensors_read

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (bool c, float[2] x) => (float[2] y)'
BRANCHES = """{ one = Constant <value = float[2] {1, 1}> () two = Constant <value = float[2] {2, 2}> ()
    idle = Constant <value = float[2] {9, 9}> () unread = Mul (x, idle) outer = Mul (x, two)
    y = If (c) <
        then_branch = t () => (float[2] a) { a = If (c) <
            then_branch = tt () => (float[2] b) { b = Add (outer, one) },
            else_branch = te () => (float[2] d) { d = Relu (x) }> },
        else_branch = e () => (float[2] f) { f = Identity (outer) }> }"""


def given(model: onnx.ModelProto, condition: bool) -> list[float]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"c": np.array(condition), "x": np.array([3, -4], np.float32)})
    return found.tolist()


def test_what_a_branch_reads_is_kept_and_made_before_it() -> None:
    graph = Graph(onnx.parser.parse_model(f"{HEAD} {BRANCHES}"))
    graph.nodes.reverse()
    made = graph.finished()
    assert [node.output[0] for node in made.graph.node] == ["outer", "y"]
    assert {entry.name for entry in made.graph.initializer} == {"one", "two"}
    assert (given(made, True), given(made, False)) == ([7, -7], [6, -8])


def test_constants_that_only_a_branch_reads_are_not_dropped() -> None:
    model = onnx.parser.parse_model(f"{HEAD} {BRANCHES}")
    assert {"one", "outer", "x", "c"} <= tensors_read(model.graph)
    drop_unread_constants(model.graph, ["one", "two", "idle"])
    assert {node.output[0] for node in model.graph.node} >= {"one", "two", "idle"}
    del model.graph.node[3]  # which reads the idle one
    drop_unread_constants(model.graph, ["one", "two", "idle"])
    assert [node.output[0] for node in model.graph.node] == ["one", "two", "outer", "y"]


def test_a_name_has_one_value() -> None:
    graph = Graph(onnx.parser.parse_model(f"{HEAD} {{ y = Relu (x) }}"))
    half = np.full(2, 0.5, np.float32)
    assert graph.constant("half", half) == graph.constant("half", half.copy()) == "half"
    for other in (half + 1, half.astype(np.float64), half[:1]):
        with pytest.raises(ArtifactError, match="the graph already has a tensor named half"):
            graph.constant("half", other)
    assert graph.constants["half"] is half
