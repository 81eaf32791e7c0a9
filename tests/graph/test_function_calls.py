"""Functions that call functions: sound ones pass, those without end are refused before anything follows them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import FunctionProto, ModelProto, NodeProto, helper, inliner, numpy_helper

from ssd_edge.core.errors import ArtifactError
from ssd_edge.graph.editor import copied
from ssd_edge.graph.function_calls import check_calls
from ssd_edge.graph.source import read_graph
from tests.quantization.square_model import square_model

PATH = Path("a.onnx")
needs_overloads = pytest.mark.skipif(
    "overload" not in FunctionProto.DESCRIPTOR.fields_by_name, reason="this release of onnx has no overloads"
)
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]


def call(name: str, read: str = "a", made: str = "b") -> NodeProto:
    return helper.make_node(name, [read], [made], domain="" if name == "Relu" else "own")


def model_of(functions: dict[str, Sequence[NodeProto]], called: str = "F0") -> ModelProto:
    value = helper.make_tensor_value_info
    bodies = [helper.make_function("own", name, ["a"], ["b"], nodes, OPSETS) for name, nodes in functions.items()]
    graph = helper.make_graph([call(called, "x", "y")], "g", [value("x", 1, [2])], [value("y", 1, [2])])
    return helper.make_model(graph, functions=bodies, opset_imports=OPSETS)


def add_body(model: ModelProto, nodes: Sequence[NodeProto], **names: str) -> FunctionProto:
    """Add a function that IR 10 may have: its name with another overload, or another domain."""
    model.ir_version = 10
    made = helper.make_function(names.pop("domain", "own"), names.pop("name"), ["a"], ["b"], nodes, OPSETS)
    for field, value in names.items():
        setattr(made, field, value)
    model.functions.append(made)
    return model.functions[-1]


def chain(length: int, calls: int = 1) -> dict[str, list[NodeProto]]:
    """Each function calls the next so many times, one behind the other; the last is a ReLU."""
    steps = ["a", *(f"t{number}" for number in range(calls - 1)), "b"]
    return {
        f"F{number}": [call(f"F{number + 1}" if number < length - 1 else "Relu", *pair) for pair in pairwise(steps)]
        for number in range(length)
    }


@pytest.mark.parametrize(("length", "calls"), [(1, 1), (3, 4), (100, 1), (14, 2)])
def test_functions_that_end_pass(length: int, calls: int) -> None:
    model = model_of(chain(length, calls))
    check_calls(model, PATH)
    inlined = inliner.inline_local_functions(model)
    assert len(inlined.graph.node) >= calls**length


def test_a_longer_chain_is_refused_with_its_length() -> None:
    with pytest.raises(ArtifactError, match="cannot be followed: got 101 that call .*wanted at most 100"):
        check_calls(model_of(chain(101)), PATH)


@pytest.mark.parametrize("ring", [["F0"], ["F0", "F1"], ["F0", "F1", "F2"]])
@pytest.mark.parametrize("beside", [0, 1])
def test_a_ring_of_calls_is_refused(ring: list[str], beside: int) -> None:
    functions = {
        name: [call(following), *[call("Relu", "b", "c")] * beside]
        for name, following in zip(ring, [*ring[1:], ring[0]], strict=True)
    }
    with pytest.raises(ArtifactError, match=r"a\.onnx has functions that cannot be followed: got a ring.*F0.*Export"):
        check_calls(model_of(functions), PATH)


def test_a_ring_that_grows_beyond_every_size_is_still_a_ring() -> None:
    with pytest.raises(ArtifactError, match="got a ring: 'own::F0 calls own::F0'"):
        check_calls(model_of({"F0": [call("F0"), call("F0", "b", "c")], "F1": [call("Relu")]}, "F1"), PATH)


def test_calls_that_double_each_time_are_refused_at_once() -> None:
    began = time.process_time()
    with pytest.raises(ArtifactError, match="cannot be followed: got .* each call written out; wanted at most"):
        check_calls(model_of(chain(60, 2)), PATH)
    assert time.process_time() - began < 1


@needs_overloads
def test_another_overload_does_not_hide_a_body() -> None:
    model = model_of(chain(60, 2))
    for number in range(60):
        add_body(model, [call("Relu")], name=f"F{number}", overload="z")
    with pytest.raises(ArtifactError, match="each call written out"):
        check_calls(model, PATH)


@needs_overloads
def test_a_call_goes_to_the_overload_that_it_names() -> None:
    model = model_of({"F0": [call("Relu")]})
    model.graph.node[0].overload = "z"
    body = add_body(model, [call("F0"), call("Relu", "b", "c")], name="F0", overload="z")
    check_calls(model, PATH)
    assert [node.op_type for node in inliner.inline_local_functions(model).graph.node] == ["Relu", "Relu"]
    body.node[0].overload = "z"
    with pytest.raises(ArtifactError, match="got a ring: 'own::F0::z calls own::F0::z'"):
        check_calls(model, PATH)


@needs_overloads
@pytest.mark.parametrize(
    ("domain", "name", "overload"), [("own", "F0", ""), ("own", "F0::z", ""), ("own::F0", "z", ""), ("", "F", "")]
)
def test_two_functions_that_onnx_cannot_tell_apart_are_refused(domain: str, name: str, overload: str) -> None:
    model = model_of({"F0": [call("Relu")]})
    add_body(model, [call("Relu")], name="F0", overload="z")
    add_body(model, [call("Relu")], domain="ai.onnx", name="F")
    check_calls(model, PATH)
    inliner.inline_local_functions(model)
    add_body(model, [call("Relu")], domain=domain, name=name, overload=overload)
    with pytest.raises(ArtifactError, match="cannot be followed: got 2 of the name .*wanted one of each"):
        check_calls(model, PATH)


def test_constants_count_as_often_as_they_are_called() -> None:
    weight = numpy_helper.from_array(np.zeros(1 << 20, np.float32), "w")  # 4 MiB
    functions = {**chain(10, 2), "F10": [helper.make_node("Constant", [], ["b"], value=weight)]}
    functions["F9"] = [call("F10"), call("F10", "b", "c")]
    with pytest.raises(ArtifactError, match="each call written out"):
        check_calls(model_of(functions), PATH)
    check_calls(model_of(functions, "F8"), PATH)


def test_a_call_from_inside_of_a_branch_counts() -> None:
    value = helper.make_tensor_value_info("b", 1, None)
    branch = helper.make_graph([call("F0")], "branch", [], [value])
    node = helper.make_node("If", ["a"], ["b"], then_branch=branch, else_branch=branch)
    with pytest.raises(ArtifactError, match="cannot be followed"):
        check_calls(model_of({"F0": [node]}), PATH)


def test_our_own_files_come_through_the_same_door(tmp_path: Path) -> None:
    model = copied(square_model())
    (function,) = model.functions
    function.node.append(helper.make_node(function.name, [], ["again"], domain=function.domain))
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match="cannot be followed"):
        read_graph(path)
