"""The self-test's detector against the truth of its own images: nothing is trained, so the answer is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.spec import ModelSpec
from ssd_edge.doctor.sample_model import sample_frames, sample_graph, sample_spec
from ssd_edge.doctor.selftest import compare
from ssd_edge.doctor.verdict import TOLERANCES
from ssd_edge.graph.nms import attach_nms
from ssd_edge.model.anchors import anchor_boxes


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    path: Path = tmp_path_factory.mktemp("selftest") / "selftest.onnx"
    model = attach_nms(sample_graph(), sample_spec())
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    with open_detector(path) as opened:
        yield opened


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_every_square_and_nothing_else(detector, seed: int) -> None:
    for frame in sample_frames(40, seed):
        found = detector.detect(frame.image)
        assert len(found.scores) == len(frame.class_ids)
        overlaps = iou_matrix(frame.boxes, found.boxes)
        best = overlaps.argmax(axis=1)
        assert (found.class_ids[best] == frame.class_ids).all()
        assert (overlaps.max(axis=1) > 0.5).all()
        assert (found.scores > 0.5).all()


def with_noise(amount: float, seed: int) -> onnx.ModelProto:
    """The detector with an error on each class logit, as another order of sums or TF32 makes it."""
    model = attach_nms(sample_graph(), sample_spec())
    size = (1, sample_spec().anchors.count, 4)
    noise = np.random.default_rng(seed).uniform(-amount, amount, size).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(noise, "noise"))
    number, node = next((i, node) for i, node in enumerate(model.graph.node) if "logits" in node.output)
    node.output[0] = "exact"
    model.graph.node.insert(number + 1, onnx.helper.make_node("Add", ["exact", "noise"], ["logits"]))
    return model


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_answer_does_not_hang_on_how_it_is_rounded(detector, tmp_path: Path, seed: int) -> None:
    """A square between two cells would be found at one place here and at another on a GPU."""
    onnx.save(with_noise(0.01, seed), tmp_path / "noisy.onnx")
    with open_detector(tmp_path / "noisy.onnx") as noisy:
        differences = [compare(detector.detect(f.image), noisy.detect(f.image)) for f in sample_frames(40, seed)]
    assert sum(difference.compared for difference in differences) > 60
    assert sum(difference.lost for difference in differences) == 0
    assert max(difference.worst_box for difference in differences) < 0.001
    assert 0 < max(difference.worst_score for difference in differences) < TOLERANCES["fp32"].score


def test_default_boxes_are_those_of_the_spec() -> None:
    named = {entry.name: onnx.numpy_helper.to_array(entry) for entry in sample_graph().graph.initializer}
    in_graph = np.concatenate([named["default.centres"], named["default.sizes"]], axis=2)[0]
    np.testing.assert_allclose(in_graph, anchor_boxes(sample_spec().anchors), atol=1e-6)


def test_the_same_seed_draws_the_same_pictures() -> None:
    one, other, third = (sample_frames(3, seed) for seed in (5, 5, 6))
    assert all((a.image == b.image).all() for a, b in zip(one, other, strict=True))
    assert any((a.image != b.image).any() for a, b in zip(one, third, strict=True))


def test_the_spec_survives_its_json() -> None:
    assert ModelSpec.from_json(sample_spec().to_json(), origin="here") == sample_spec()


def test_needs_no_torch() -> None:
    code = (
        "import sys; from ssd_edge.doctor.sample_model import sample_graph, sample_spec;"
        "from ssd_edge.graph.nms import attach_nms; attach_nms(sample_graph(), sample_spec());"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
