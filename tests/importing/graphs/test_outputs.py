from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.graphs.outputs import Outputs, choose_outputs, refuse_changing_sizes

PATH = Path("a.onnx")


def model(*operators):
    return helper.make_model(helper.make_graph([helper.make_node(name, [], []) for name in operators], "g", [], []))


@pytest.mark.parametrize(
    ("shapes", "names", "wanted"),
    [
        ({"a": (1, 80, 21), "b": (1, 80, 4)}, {}, ("a", "b")),
        ({"b": (1, 80, 4), "a": (1, 80, 21)}, {}, ("a", "b")),
        ({"conf": (1, 80, 21), "loc": (1, 80, 4), "priors": (80, 4)}, {}, ("conf", "loc")),
        ({"scores": (1, 80, 4), "boxes": (1, 80, 4)}, {}, ("scores", "boxes")),
        ({"a": (1, 80, 4), "b": (1, 80, 4)}, {"boxes": "a"}, ("b", "a")),
        ({"a": (1, 80, 5), "b": (1, 80, 4), "c": (1, 80, 9)}, {"scores": "c"}, ("c", "b")),
    ],
)
def test_outputs_are_found_by_shape_or_name(shapes, names, wanted):
    assert choose_outputs(shapes, model(), PATH, **names) == Outputs(*wanted)


@pytest.mark.parametrize(
    ("shapes", "operators", "looks_like"),
    [
        ({"y": (1, 1000)}, ["Gemm"], "an image classifier: y .1, 1000."),
        ({"output0": (1, 84, 8400)}, ["Conv"], "a YOLO, with boxes and scores in one output: output0 .1, 84, 8400."),
        ({"output": (1, 25200, 85)}, ["Conv"], "a YOLO, with boxes and scores in one output"),
        ({"y": (1, 21, 64, 64)}, ["Conv"], "a segmentation network or a single feature map"),
        (
            {"a": (1, 12, 8, 8), "b": (1, 63, 8, 8)},
            ["Conv"],
            "the feature maps of a detector, not yet flattened and concatenated",
        ),
        ({"boxes": (9, 4), "labels": (9,)}, ["NonMaxSuppression"], "a detector with its NMS inside"),
        ({"a": (1, 5), "b": (1, 5)}, ["Conv"], "outputs of another kind: a .1, 5., b .1, 5."),
    ],
)
def test_other_networks_are_named(shapes, operators, looks_like):
    with pytest.raises(
        ArtifactError,
        match=f"a.onnx does not have the outputs of an SSD without its NMS: got {looks_like}.*; wanted scores",
    ):
        choose_outputs(shapes, model(*operators), PATH)


def test_more_than_one_pair_is_refused():
    shapes = {"a": (1, 80, 5), "b": (1, 80, 4), "c": (1, 80, 9)}
    with pytest.raises(InputError, match=r"more than one pair .*: got a \(1, 80, 5\), .* --scores NAME --boxes NAME"):
        choose_outputs(shapes, model(), PATH)


@pytest.mark.parametrize("option", ["scores", "boxes"])
def test_a_name_that_is_no_output_is_refused(option):
    with pytest.raises(
        InputError, match=rf"has no output 'z': got a \(1, 8, 4\). Choose one of its outputs with --{option}"
    ):
        choose_outputs({"a": (1, 8, 4)}, model(), PATH, **{option: "z"})


def test_shapes_that_follow_the_picture_are_refused():
    with pytest.raises(
        ArtifactError,
        match=r"already contains its NMS: got a number of boxes that differs between images: boxes \(1, 7, 4\)",
    ):
        refuse_changing_sizes(True, {"boxes": (1, 7, 4)}, PATH)
    refuse_changing_sizes(False, {"boxes": (1, 7, 4)}, PATH)
