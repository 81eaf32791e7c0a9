from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from ssd_edge import __version__
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.core.errors import ArtifactError, InputError, ParityError
from ssd_edge.core.files import file_digest
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import ModelSpec
from ssd_edge.exporting import export_onnx as exporting
from ssd_edge.exporting.export_onnx import export_onnx, onnx_model
from ssd_edge.model.predict import TorchDetector
from tests.exporting.conftest import DIGEST
from tests.exporting.models import lively_model, pictures


@pytest.fixture
def images():
    return pictures(5)


def batch_of(images, spec):
    return np.stack([preprocess(image, spec.input) for image in images])


def test_export_holds_and_describes_itself(tiny_checkpoint, tmp_path, images):
    target = tmp_path / "new" / "tiny.onnx"
    seen = []
    report = export_onnx(tiny_checkpoint, target, images, progress=lambda done, total, note="": seen.append(done))
    assert report.onnx == target
    assert report.parity.holds
    assert report.parity.detections > 50
    assert report.parity.images == seen[-1] == 5
    metadata = {entry.key: entry.value for entry in onnx.load(target).metadata_props}
    assert ModelSpec.from_json(metadata["ssd_edge.spec"], origin="metadata") == report.spec
    assert metadata["ssd_edge.checkpoint_digest"] == file_digest(tiny_checkpoint)
    assert metadata["ssd_edge.version"] == __version__
    assert [path.name for path in target.parent.iterdir()] == ["tiny.onnx"]


def test_default_place_is_the_models_folder_in_engines(tiny_checkpoint, tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export_onnx(tiny_checkpoint, None, images).onnx == Path("engines/lively/lively.onnx")
    assert (tmp_path / "engines/lively/lively.onnx").is_file()


def test_detections_are_those_of_torch_in_pixels_of_the_picture(tiny_model, tiny_onnx, images):
    """The same pixels through PyTorch's detector and through the file, each on its own road to boxes."""
    detector = TorchDetector(tiny_model)
    with OrtBackend(tiny_onnx) as backend:
        for image in images:
            wanted = detector.detect(image)
            raw = backend.infer(batch_of([image], tiny_model.spec))
            count = int(raw.num_detections[0, 0])
            assert count > 10
            np.testing.assert_allclose(raw.scores[0, :count], wanted.scores[:count], atol=1e-4)
            height, width = image.shape[:2]
            found = raw.boxes[0, :count] * np.array([width, height, width, height], np.float32)
            np.testing.assert_allclose(found[:5], wanted.boxes[:5], atol=0.05)
            np.testing.assert_array_equal(raw.classes[0, :5], wanted.class_ids[:5])


def test_a_batch_gives_what_its_pictures_give(tiny_onnx, tiny_model, images):
    with OrtBackend(tiny_onnx) as backend:
        together = backend.infer(batch_of(images[:3], tiny_model.spec))
        for number, image in enumerate(images[:3]):
            alone = backend.infer(batch_of([image], tiny_model.spec))
            assert together.num_detections[number] == alone.num_detections[0]
            np.testing.assert_allclose(together.scores[number], alone.scores[0], atol=1e-5)
            np.testing.assert_allclose(together.boxes[number], alone.boxes[0], atol=1e-4)


def test_same_model_gives_the_same_bytes():
    model = lively_model("ssd192-tiny", input_size=64)
    assert onnx_model(model, DIGEST).SerializeToString() == onnx_model(model, DIGEST).SerializeToString()


def test_changed_thresholds_are_in_the_spec_and_in_the_graph(tiny_checkpoint, tmp_path, images):
    changes = {"score_threshold": 0.3, "iou_threshold": 0.6, "keep_top_k": 7, "max_candidates": 50, "top_k": 60}
    report = export_onnx(tiny_checkpoint, tmp_path / "m.onnx", images, nms_changes=changes)
    nms = json.loads(report.spec.to_json())["nms"]
    assert {name: nms[name] for name in changes} == changes
    with OrtBackend(report.onnx) as backend:
        raw = backend.infer(batch_of(images, report.spec))
    assert raw.scores.shape == (5, 7)
    found = raw.scores[raw.classes >= 0]
    assert len(found) > 0
    assert (found > 0.3).all()


def test_a_threshold_out_of_range_is_refused(tiny_checkpoint, tmp_path, images):
    with pytest.raises(ArtifactError, match=r"score_threshold is out of range: got 1\.5; wanted 0 <= threshold < 1"):
        export_onnx(tiny_checkpoint, tmp_path / "m.onnx", images, nms_changes={"score_threshold": 1.5})
    assert not list(tmp_path.iterdir())


def test_a_graph_that_gives_other_detections_is_not_written(tiny_checkpoint, tmp_path, images, monkeypatch):
    """Break the weights that place boxes, between the network and the file."""

    def broken(model, digest):
        graph = onnx_model(model, digest)
        for tensor in graph.graph.initializer:
            if tensor.name.endswith("regression_head.module_list.0.weight"):
                weights = onnx.numpy_helper.to_array(tensor) * np.float32(3)
                tensor.CopyFrom(onnx.numpy_helper.from_array(weights, tensor.name))
        return graph

    monkeypatch.setattr(exporting, "onnx_model", broken)
    target = tmp_path / "m.onnx"
    with pytest.raises(ParityError, match=r"m\.onnx was not written: its detections differ from those of .*best\.pt"):
        export_onnx(tiny_checkpoint, target, images)
    assert not list(tmp_path.iterdir())


def test_without_detections_nothing_is_compared_and_nothing_written(tiny_checkpoint, tmp_path, images):
    with pytest.raises(ParityError, match=r"no detections on 5 images.*--check-images"):
        export_onnx(tiny_checkpoint, tmp_path / "m.onnx", images, nms_changes={"score_threshold": 0.9999})
    assert not list(tmp_path.iterdir())


def test_a_failed_export_leaves_the_old_file(tiny_checkpoint, tmp_path, images):
    target = tmp_path / "m.onnx"
    target.write_bytes(b"old")
    with pytest.raises(ParityError):
        export_onnx(tiny_checkpoint, target, images, nms_changes={"score_threshold": 0.9999})
    assert target.read_bytes() == b"old"


def test_missing_checkpoint(tmp_path, images):
    with pytest.raises(InputError, match="absent.pt cannot be read"):
        export_onnx(tmp_path / "absent.pt", tmp_path / "m.onnx", images)


def test_unwritable_place(tiny_checkpoint, tmp_path, images):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export_onnx(tiny_checkpoint, tmp_path / "file" / "m.onnx", images)
