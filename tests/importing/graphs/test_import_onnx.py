from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.anchor_spec import AnchorLevel, AnchorSpec, AnchorTable
from ssd_edge.core.choices import BoxLayout
from ssd_edge.core.errors import ArtifactError, InputError, ParityError
from ssd_edge.core.files import bytes_digest, file_digest
from ssd_edge.core.graph_contract import DIGEST_KEY, INPUT_NAME, NMS_OP
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import BoxCoding, NmsSpec
from ssd_edge.engines.build import build_engine
from ssd_edge.graph.nms_bodies import rounds_counted, write_out_rounds
from ssd_edge.importing.graphs import import_onnx as importing
from ssd_edge.importing.graphs import verify
from ssd_edge.importing.graphs.import_onnx import Hints, import_onnx
from ssd_edge.importing.graphs.normalization import Normalization
from ssd_edge.importing.graphs.outputs import Outputs
from ssd_edge.importing.graphs.source import in_our_opset, read_foreign
from ssd_edge.importing.graphs.surgery import Reading, finished, scored_boxes
from tests.importing.graphs.by_hand import Recipe, assert_same, detections
from tests.importing.graphs.foreign_net import BOXES, SIZE, VARIANCES, ForeignNet, anchor_table, pictures

TABLE, LEVELS = "priors.npy", "priors.json"
READING = Reading(Outputs("scores", "boxes"), softmaxed=True, anchors=None)


@pytest.fixture
def folder(tmp_path):
    """A folder with the anchors in both forms."""
    np.save(tmp_path / TABLE, anchor_table())
    levels = [
        {"rows": cells, "cols": cells, "step": [1 / cells, 1 / cells], "sizes": [[side, side]]}
        for cells, side in ((8, 0.25), (4, 0.5))
    ]
    (tmp_path / LEVELS).write_text(json.dumps({"anchors": {"levels": levels}}))
    return tmp_path


KINDS = {
    "jetson-inference": (ForeignNet(), Recipe(), Hints()),
    "jetson-inference's vgg": (
        ForeignNet(
            stride=1,
            middle="pooled = MaxPool <kernel_shape = [8, 8], strides = [8, 8], pads = [4, 4, 3, 3]> "
            "(map)\nsmall = Mul (pooled, scale)\nfeatures = Relu (small)",
            weights={"scale": np.float32([0.01])},
        ),
        Recipe((123.0, 117.0, 104.0), (1.0, 1.0, 1.0)),
        Hints(),
    ),
    "decoded, logits, stated normalization": (
        ForeignNet(softmaxed=False, names=("x", "cls", "loc"), logits=6),
        Recipe((127.5,) * 3, (127.5,) * 3),
        Hints(normalization=Normalization((127.5,) * 3, (127.5,) * 3)),
    ),
    "offsets and logits": (
        ForeignNet(decoded=False, softmaxed=False),
        Recipe(),
        Hints(anchors=TABLE),
    ),
    "offsets and probabilities, levels, clipped": (
        ForeignNet(decoded=False),
        Recipe(clip=True),
        Hints(anchors=LEVELS, nms=NmsSpec(clip_boxes=True)),
    ),
    "bgr, own variances and thresholds": (
        ForeignNet(decoded=False, softmaxed=False, names=("x", "cls", "loc"), logits=6),
        Recipe((104.0, 117.0, 123.0), (57.0, 58.0, 59.0), "bgr", 0.2, 0.3, variances=(0.2, 0.1, 0.1, 0.3)),
        Hints(
            anchors=TABLE,
            normalization=Normalization((104.0, 117.0, 123.0), (57.0, 58.0, 59.0), "bgr"),
            coding=BoxCoding((0.2, 0.1, 0.1, 0.3), math.inf),
            nms=NmsSpec(score_threshold=0.2, iou_threshold=0.3, clip_boxes=False),
        ),
    ),
}


def imported(net, folder, hints=None):
    hints = hints or Hints()
    if hints.anchors is not None:
        hints = dataclasses.replace(hints, anchors=folder / hints.anchors)
    return import_onnx(net.write(folder), folder / "ours.onnx", pictures(2), hints)


@pytest.mark.parametrize("kind", KINDS)
def test_gives_what_its_authors_would_get_by_hand(kind, folder):
    net, recipe, hints = KINDS[kind]
    report = imported(net, folder, hints)
    assert report.softmaxed == net.softmaxed
    with open_detector(report.onnx) as detector:
        for image in pictures():
            assert_same(detector.detect(image), detections(net, image, recipe))


@pytest.mark.parametrize("opset", [9, 13, 17, 20])
def test_any_opset_gives_the_same(opset, folder):
    net = ForeignNet(opset=opset)
    report = imported(net, folder)
    assert {entry.domain: entry.version for entry in onnx.load(report.onnx).opset_import}[""] == 17
    with open_detector(report.onnx) as detector:
        assert_same(detector.detect(pictures()[0]), detections(net, pictures()[0], Recipe()))


def test_the_spec_says_all_that_is_known(folder):
    (folder / "labels.txt").write_text("BACKGROUND\nstop\nyield\ncrossing\n")
    report = imported(ForeignNet(), folder, Hints(name="signs", labels=folder / "labels.txt"))
    spec = report.spec
    assert (spec.name, spec.architecture, spec.class_names) == ("signs", "foreign-onnx", ("stop", "yield", "crossing"))
    assert spec.anchors == AnchorSpec((), table=AnchorTable(BOXES))
    assert spec.box_coding.variances == (1.0, 1.0, 1.0, 1.0)
    assert (spec.input.height, spec.input.width, spec.input.color_order) == (64, 64, "rgb")
    model = onnx.load(report.onnx)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata[DIGEST_KEY] == file_digest(folder / "theirs.onnx")
    assert [node.op_type for node in model.graph.node].count(NMS_OP) == 1
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("iou_threshold", [0.05, 1.0])
def test_the_rounds_that_suppression_takes_are_counted_as_at_export(iou_threshold, folder):
    report = imported(ForeignNet(), folder, Hints(nms=NmsSpec(iou_threshold=iou_threshold, clip_boxes=False)))
    model = onnx.load(report.onnx)
    needed = rounds_counted(model)
    assert (needed == 0) == (iou_threshold == 1.0)
    settled = write_out_rounds(model, needed + needed % 2) if needed else model
    sessions = [onnxruntime.InferenceSession(entry.SerializeToString()) for entry in (model, settled)]
    for image in pictures(2):
        pixels = preprocess(image, report.spec.input)[None]
        for loop, rounds in zip(*(session.run(None, {INPUT_NAME: pixels}) for session in sessions), strict=True):
            np.testing.assert_array_equal(loop, rounds)


def test_a_table_is_remembered_by_its_digest_and_levels_as_they_are(folder):
    net = ForeignNet(decoded=False)
    table = imported(net, folder, Hints(anchors=TABLE)).spec
    assert table.anchors.table == AnchorTable(BOXES, bytes_digest(anchor_table().tobytes()))
    assert table.box_coding.variances == (0.1, 0.1, 0.2, 0.2)
    levels = imported(net, folder, Hints(anchors=LEVELS)).spec.anchors
    assert levels.levels[1] == AnchorLevel(4, 4, (0.25, 0.25), ((0.5, 0.5),))


@pytest.mark.parametrize("batch", ["1", "N"])
def test_takes_any_number_of_pictures_where_that_is_right(batch, folder):
    net = ForeignNet(batch=batch, opset=17)
    report = imported(net, folder)
    assert report.free_batch
    with open_detector(report.onnx) as detector:
        for image, found in zip(pictures(), detector.detect_batch(pictures()), strict=True):
            assert_same(found, detections(net, image, Recipe()))


MIXING = "other = ReduceMax <axes = [0], keepdims = 1> (map)\nboth = Add (map, other)\nfeatures = Relu (both)"
APPENDING = ForeignNet(
    boxes=BOXES + 1,
    tail="scores = Concat <axis = 1> (all_scores, more_scores)\nboxes = Concat <axis = 1> (all_boxes, more_boxes)",
    weights={
        "more_scores": np.full((1, 1, 4), 0.25, np.float32),
        "more_boxes": np.float32([[[0.25, 0.25, 0.5, 0.5]]]),
    },
)


@pytest.mark.parametrize("net", [ForeignNet(middle=MIXING, batch="N"), ForeignNet(middle=MIXING), APPENDING])
def test_stays_with_one_picture_where_more_would_be_wrong_or_fail(net, folder):
    report = imported(net, folder)
    assert not report.free_batch
    with open_detector(report.onnx) as detector:
        assert_same(detector.detect(pictures()[0]), detections(net, pictures()[0], Recipe()))
        with pytest.raises(InputError, match="takes 1 images at a time"):
            detector.detect_batch(pictures())


def test_can_be_built_like_any_other(folder):
    net = ForeignNet()
    engine = build_engine(imported(net, folder).onnx).engine
    with open_detector(engine) as detector:
        assert_same(detector.detect(pictures()[0]), detections(net, pictures()[0], Recipe()))


def test_ambiguous_outputs_can_be_named(folder):
    net = ForeignNet(names=("input_0", "first", "second"), softmaxed=False)
    hints = Hints(normalization=Normalization((127.0,) * 3, (128.0,) * 3))
    with pytest.raises(InputError, match="more than one pair .* first .1, 80, 4., second .*--scores NAME --boxes NAME"):
        imported(net, folder, hints)
    report = imported(net, folder, dataclasses.replace(hints, scores="first"))
    with open_detector(report.onnx) as detector:
        assert_same(detector.detect(pictures()[0]), detections(net, pictures()[0], Recipe()))


def test_normalisation_is_asked_for_where_it_is_not_known(folder):
    with pytest.raises(
        InputError, match="the normalization of the pixels cannot be read from .* Give both, for example --mean 127.5"
    ):
        imported(ForeignNet(names=("x", "cls", "loc"), logits=6), folder)


def test_another_network_is_named_before_anything_is_asked_for(folder):
    net = ForeignNet(names=("x", "cls", "loc"))
    net.model.graph.output.pop()
    net.model.graph.output[0].type.tensor_type.shape.dim.pop()
    net.model.graph.output[0].name = "logits"
    net.model.graph.node.append(helper.make_node("ReduceMax", ["cls"], ["logits"], axes=[1], keepdims=0))
    with pytest.raises(
        ArtifactError,
        match=r"does not have the outputs of an SSD without its NMS: got an image classifier: logits \(1, 4\)",
    ):
        imported(net, folder)


def test_offsets_without_default_boxes_are_refused(folder):
    with pytest.raises(
        ArtifactError, match="are not x1 y1 x2 y2: got x2 >= x1 .* probably offsets; .*--anchors priors.npy"
    ):
        imported(ForeignNet(decoded=False), folder)


def test_boxes_with_default_boxes_are_refused(folder):
    with pytest.raises(ArtifactError, match="are already decoded: .* Leave out --anchors"):
        imported(ForeignNet(), folder, Hints(anchors=TABLE))


def test_default_boxes_of_another_network_are_refused(folder):
    np.save(folder / "few.npy", anchor_table()[:79])
    with pytest.raises(InputError, match=r"few.npy does not match .*theirs.onnx: got 79 anchors; wanted 80"):
        imported(ForeignNet(decoded=False), folder, Hints(anchors="few.npy"))


def test_labels_of_another_network_are_refused(folder):
    (folder / "labels.txt").write_text("a\nb\n")
    with pytest.raises(
        InputError, match="number of class names does not match the weights: got 2 names .a to b.; wanted 3"
    ):
        imported(ForeignNet(), folder, Hints(labels=folder / "labels.txt"))


@pytest.mark.parametrize("before", [None, b"old"])
def test_other_boxes_or_scores_are_seen_and_leave_nothing(before, folder, monkeypatch):
    def with_other_mean(model, spec, reading):
        other = dataclasses.replace(spec, input=dataclasses.replace(spec.input, mean=(100.0, 127.0, 127.0)))
        return scored_boxes(model, other, reading)

    monkeypatch.setattr(importing, "scored_boxes", with_other_mean)
    assert_nothing_written(
        folder, before, "does not give the same boxes and scores as the original graph: got box differences up to 0"
    )


def test_other_detections_are_seen_and_leave_nothing(folder, monkeypatch):
    plain = verify.greedy_nms
    monkeypatch.setattr(
        verify, "greedy_nms", lambda boxes, scores, nms: plain(boxes, scores, dataclasses.replace(nms, iou_threshold=1))
    )
    assert_nothing_written(
        folder, None, "does not give the same detections as a reference NMS: got .* detections; wanted"
    )


def assert_nothing_written(folder, before, message):
    if before is not None:
        (folder / "ours.onnx").write_bytes(before)
    names = {path.name for path in folder.iterdir()} | {"theirs.onnx"}
    with pytest.raises(ParityError, match=message):
        imported(ForeignNet(), folder)
    assert {path.name for path in folder.iterdir()} == names
    assert before is None or (folder / "ours.onnx").read_bytes() == before


LAYOUTS = {  # of boxes x1 y1 x2 y2 in all_boxes
    "yxyx": "boxes = Gather <axis = 2> (all_boxes, swapped)",
    "xywh": "a, b = Split <axis = 2> (all_boxes)\nsize = Sub (b, a)\nboxes = Concat <axis = 2> (a, size)",
    "cxcywh": "a, b = Split <axis = 2> (all_boxes)\nsize = Sub (b, a)\ntwice = Add (a, b)\n"
    "center = Mul (twice, one_half)\nboxes = Concat <axis = 2> (center, size)",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_of_another_layout_give_the_same_detections(layout: str, folder) -> None:
    plain = import_onnx(ForeignNet().write(folder), folder / "plain.onnx", pictures())
    weights = {"swapped": np.array([1, 0, 3, 2])} if layout == "yxyx" else {}
    weights |= {"one_half": np.float32([0.5])} if layout == "cxcywh" else {}
    net = ForeignNet(tail="scores = Identity (all_scores)\n" + LAYOUTS[layout], weights=weights)
    other = import_onnx(net.write(folder, "o.onnx"), folder / "o2.onnx", pictures(), Hints(layout=BoxLayout(layout)))
    with open_detector(plain.onnx) as wanted, open_detector(other.onnx) as found:
        for image in pictures():
            first, second = wanted.detect(image), found.detect(image)
            assert len(first) == len(second) > 0
            np.testing.assert_allclose(second.boxes, first.boxes, atol=1e-3)
            np.testing.assert_array_equal(second.class_ids, first.class_ids)


def test_a_layout_that_needs_saying_is_named(folder) -> None:
    net = ForeignNet(
        tail="scores = Identity (all_scores)\n" + LAYOUTS["cxcywh"], weights={"one_half": np.float32([0.5])}
    )
    with pytest.raises(ArtifactError, match=r"are not x1 y1 x2 y2.*--box-layout cxcywh or xywh"):
        import_onnx(net.write(folder), folder / "a.onnx", pictures())
    with pytest.raises(InputError, match="--box-layout and --anchors cannot be combined"):
        import_onnx(
            ForeignNet(decoded=False).write(folder), None, pictures(),
            Hints(layout=BoxLayout.YXYX, anchors=folder / TABLE),
        )  # fmt: skip


def test_scales_are_limited_where_the_network_limits_them(folder) -> None:
    sides = {}
    for limit in (0.01, math.inf):
        report = imported(ForeignNet(decoded=False), folder, Hints(anchors=TABLE, coding=BoxCoding(VARIANCES, limit)))
        with open_detector(report.onnx) as detector:
            boxes = detector.detect(pictures()[0]).boxes
        sides[limit] = float((boxes[:, 2:] - boxes[:, :2]).max()) / SIZE
    largest = 0.5 * math.exp(0.01)  # of the larger anchors
    assert sides[0.01] <= largest + 1e-6 < sides[math.inf]


def test_a_graph_that_does_not_go_together_with_ours_is_refused(folder) -> None:
    report = imported(ForeignNet(), folder)
    graph = scored_boxes(in_our_opset(read_foreign(folder / "theirs.onnx"), folder), report.spec, READING)
    assert finished(graph, report.spec, "sha256:0", 2).graph.node
    graph.graph.node[4].input[0] = "nowhere"
    with pytest.raises(ArtifactError, match="cannot be combined with preprocessing and NMS: got .*nowhere.*report"):
        finished(graph, report.spec, "sha256:0", 2)
