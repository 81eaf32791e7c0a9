"""A graph whose opset was raised, as half precision raises it, and what is written into it afterwards."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd_edge.graph.editor import copied
from ssd_edge.graph.nms_bodies import write_out_rounds
from ssd_edge.graph.opset import as_opset, opset_of, raise_opset
from tests.exporting.nms_graph import nms_model, run
from tests.exporting.scored_boxes import draw_boxes, draw_scores
from tests.graph.test_nms_function import WIDE


@pytest.mark.parametrize("rounds", [None, 16])
def test_a_raised_graph_is_valid_and_gives_the_same(rounds: int | None) -> None:
    raised = raise_opset(copied(nms_model(WIDE)), 19)
    if rounds is not None:
        raised = write_out_rounds(raised, rounds)
    onnx.checker.check_model(raised, full_check=True)
    assert {opset_of(holder) for holder in (raised, *raised.functions)} == {19}
    rng = np.random.default_rng(3)
    boxes, scores = draw_boxes(rng, 2, 500), draw_scores(rng, 2, WIDE)
    session = onnxruntime.InferenceSession(raised.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"boxes": boxes[:, :, None], "scores": scores})
    for one, other in zip(found, run(WIDE, boxes, scores), strict=True):
        np.testing.assert_array_equal(one, other)


def test_nodes_of_the_same_opset_stay_as_they_are() -> None:
    node = onnx.helper.make_node("Split", ["x"], ["a", "b"])
    assert as_opset([node], 17) == [node]
    (made,) = as_opset([node], 18)
    assert made.attribute[0].name == "num_outputs"
