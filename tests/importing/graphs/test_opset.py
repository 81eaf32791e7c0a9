from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import helper

from ssd_edge.core.errors import ArtifactError
from ssd_edge.importing.graphs.source import in_our_opset
from tests.importing.graphs.foreign_net import ForeignNet

PATH = Path("a.onnx")


@pytest.mark.parametrize("version", [7, 8])
def test_too_old_is_refused(version):
    model = ForeignNet().model
    model.opset_import[0].version = version
    with pytest.raises(
        ArtifactError,
        match=f"cannot be converted to ONNX operator set 17: got operator set {version}; wanted .* 9 or later",
    ):
        in_our_opset(model, PATH)


def test_no_operator_set_is_refused():
    model = ForeignNet().model
    del model.opset_import[:]
    with pytest.raises(
        ArtifactError,
        match="got no operator set of ONNX; wanted one operator set of ONNX, 9 or later. Export the model",
    ):
        in_our_opset(model, PATH)


def test_two_operator_sets_are_refused():
    model = ForeignNet().model
    model.opset_import.extend([helper.make_opsetid("ai.onnx", 18)])
    first = model.opset_import[0].version
    with pytest.raises(ArtifactError, match=f"got 2 operator sets of ONNX: {first}, 18; wanted one operator set"):
        in_our_opset(model, PATH)


def test_a_node_whose_input_comes_from_nowhere_is_refused():
    """The converter raises an error of its own, which is none of Python's."""
    model = ForeignNet().model
    model.opset_import[0].version = 13
    model.graph.node[0].input[0] = "nowhere"
    with pytest.raises(ArtifactError, match="got operator set 13 .*nowhere.* wanted operator set 17"):
        in_our_opset(model, PATH)


def test_an_operator_without_a_form_in_ours_is_refused():
    model = ForeignNet(opset=20).model
    model.graph.node[1].CopyFrom(helper.make_node("Gelu", ["map"], ["features"]))
    with pytest.raises(
        ArtifactError, match=r"got operator set 20 \(.*Gelu.*\); wanted operator set 17. .*opset_version=17"
    ):
        in_our_opset(model, PATH)


def test_the_result_is_valid():
    model = in_our_opset(ForeignNet(opset=9).model, PATH)
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)
    onnx.checker.check_model(model, full_check=True)
