from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.spec import InputSpec
from ssd_edge.importing.graphs.normalization import known_normalization
from ssd_edge.importing.graphs.probe import normalized, run_probe
from tests.importing.graphs.foreign_net import ForeignNet, pictures

ENTRY = InputSpec(64, 64, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "rgb")


def test_pixels_are_normalised_in_the_order_of_the_colours():
    picture = np.full((64, 64, 3), [30, 20, 10], np.uint8)
    assert normalized(picture, ENTRY)[0, :, 0, 0].tolist() == pytest.approx([9 / 4, 18 / 5, 27 / 6])


def test_pictures_of_any_size_are_run_and_a_single_one_twice(tmp_path):
    probe = run_probe(ForeignNet().write(tmp_path), "input_0", ENTRY, pictures(1, size=96))
    assert probe.pixels.shape == (2, 64, 64, 3)
    assert probe.shapes == {"scores": (1, 80, 4), "boxes": (1, 80, 4)}
    assert probe.stacked("boxes").shape == (2, 80, 4)
    assert not probe.sizes_change
    assert not np.array_equal(*probe.stacked("boxes"))


def test_sizes_that_follow_the_content_are_seen(tmp_path):
    net = ForeignNet(
        opset=17,
        tail="""bright = ReduceMean (input_0)
        limit = Constant <value_float = 0.0> ()
        any = Greater (bright, limit)
        rows = Cast <to = 7> (any)
        one = Constant <value_ints = [1]> ()
        start = Constant <value_ints = [0]> ()
        row = Reshape (rows, one)
        end = Add (row, one)
        scores = Slice (all_scores, start, end, one)
        boxes = Slice (all_boxes, start, end, one)""",
    )
    for output in net.model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = "found"
    images = [np.full((64, 64, 3), value, np.uint8) for value in (0, 255)]
    assert run_probe(net.write(tmp_path), "input_0", ENTRY, images).sizes_change


def test_no_pictures_are_refused(tmp_path):
    with pytest.raises(InputError, match="there are no images to test .*: wanted at least one"):
        run_probe(ForeignNet().write(tmp_path), "input_0", ENTRY, [])


def test_a_graph_that_does_not_run_is_refused(tmp_path):
    net = ForeignNet(weights={"unused": np.zeros(1, np.float32)})
    net.model.graph.node[1].op_type = "NoSuchOperator"
    with pytest.raises(
        ArtifactError, match="cannot run .*theirs.onnx: got .*NoSuchOperator.* Export the model again, and test"
    ):
        run_probe(net.write(tmp_path), "input_0", ENTRY, pictures(1))


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    net = ForeignNet(middle="features = Mul (map, bad)", weights={"bad": np.float32([np.nan])})
    with pytest.raises(ArtifactError, match="not finite: got NaN or infinity in scores. Check --mean and --std"):
        run_probe(net.write(tmp_path), "input_0", ENTRY, pictures(1))


def test_normalisation_is_known_for_jetson_inference_only():
    known = [known_normalization(ForeignNet(stride=stride).model) for stride in (8, 1)]
    assert [each.mean for each in known] == [(127.0, 127.0, 127.0), (123.0, 117.0, 104.0)]
    assert [each.std for each in known] == [(128.0, 128.0, 128.0), (1.0, 1.0, 1.0)]
    assert known_normalization(ForeignNet(names=("x", "scores", "boxes")).model) is None
