"""The output error against plain loops over boxes, and where there is nothing to compare."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.doctor.sample_model import sample_frames, sample_graph
from ssd_edge.graph.editor import Graph, copied, make_node, set_float_outputs
from ssd_edge.quantization.output_error import OutputError
from tests.quantization.square_model import square_model

IMAGES = [frame.image for frame in sample_frames(3, 5)]


def changed(*, scores: float = 1.0, boxes: float = 1.0) -> onnx.ModelProto:
    """The detector with scores and boxes before NMS multiplied."""
    graph = Graph(square_model())
    (nms,) = (node for node in graph.nodes if node.domain)
    for position, factor in enumerate((boxes, scores)):
        name = graph.constant(f"factor{position}", np.array(factor, np.float32))
        graph.rewire(nms, position, graph.add(make_node("Mul", [nms.input[position], name], f"changed{position}")))
    return graph.finished()


def before_nms(model: onnx.ModelProto, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cut = copied(model)
    (nms,) = (node for node in cut.graph.node if node.domain)
    names = list(nms.input)
    cut.graph.node.remove(nms)
    del cut.functions[:]
    set_float_outputs(cut, names)
    boxes, scores = onnxruntime.InferenceSession(cut.SerializeToString()).run(None, {"images": image[None]})
    return boxes[0, :, 0], scores[0]


def by_loops(reference: onnx.ModelProto, model: onnx.ModelProto, image: np.ndarray) -> float:
    (boxes, scores), (other_boxes, other_scores) = before_nms(reference, image), before_nms(model, image)
    off = whole = 0.0
    steps: list[float] = []
    for anchor in range(len(boxes)):
        for label in range(scores.shape[1]):
            one, other = float(scores[anchor, label]), float(other_scores[anchor, label])
            if max(one, other) > 0.1:
                off, whole = off + abs(one - other), whole + one
        if max(scores[anchor]) > 0.1:
            for corner in range(4):
                side = max(boxes[anchor, corner % 2 + 2] - boxes[anchor, corner % 2], 1e-3)
                steps.append(abs(boxes[anchor, corner] - other_boxes[anchor, corner]) / side)
    return (off / max(whole, 0.1) if off else 0.0) + (sum(steps) / len(steps) if steps else 0.0)


@pytest.mark.parametrize(
    ("reference", "other"),
    [
        ({}, {"scores": 0.7, "boxes": 1.02}),
        ({}, {"scores": 0.0}),
        ({"scores": 0.05}, {}),  # only the other one finds something
        ({"scores": 0.05}, {"scores": 0.04, "boxes": 2.0}),  # neither does
    ],
)
def test_the_error_is_that_of_plain_loops(reference: dict[str, float], other: dict[str, float]) -> None:
    one, two = changed(**reference), changed(**other)
    measure = OutputError(one, IMAGES)
    wanted = np.mean([by_loops(one, two, image) for image in IMAGES])
    assert measure(two) == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert measure.compares == (not reference)
    assert (measure(two) == 0) == (other == {"scores": 0.04, "boxes": 2.0})


def test_a_model_without_nms_is_refused() -> None:
    with pytest.raises(ArtifactError, match="the model has no BatchedNMS.* node.*ssd-edge export"):
        OutputError(sample_graph(), IMAGES)
