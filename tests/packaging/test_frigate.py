"""The package for Frigate, held to what Frigate's own detectors gave for it, and to the keys of its configuration.

``frigate-0.18.json`` holds figures that Frigate's source gave when ``tools/hosts.py`` ran it on a package of this very
model, and the names that its configuration has.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import yaml

import ssd_edge as ssd
from ssd_edge.core.preprocess import preprocess
from ssd_edge.doctor.sample_model import sample_frames
from ssd_edge.graph.source import read_onnx
from tests.quantization.square_model import write_square_model

RECORDED = json.loads(Path(__file__).with_name("frigate-0.18.json").read_text())
PAIRS = [("openvino", "ssd"), ("onnx", "yolonas")]


@pytest.fixture(scope="module")
def exported_squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_square_model(tmp_path_factory.mktemp("squares") / "squares.onnx")


@pytest.fixture(scope="module")
def squares(exported_squares: Path) -> Path:
    """The package of the detector of squares, on whose packages Frigate ran."""
    image = exported_squares.parent / "0.png"
    cv2.imwrite(str(image), next(iter(sample_frames(8, seed=3))).image)
    return ssd.package(exported_squares, host="frigate", image=image, workspace=exported_squares.parent).path


def read_by_frigate(kind: str, outputs: np.ndarray, width: int, height: int) -> np.ndarray:
    """What the detector of Frigate makes of a model's output: 20 rows of class, score, y1, x1, y2, x2."""
    found = np.zeros((20, 6), np.float32)
    rows = outputs[0][0] if kind == "ssd" else outputs
    for number, row in enumerate(rows[:20]):
        if kind == "ssd":
            _, label, score, x1, y1, x2, y2 = row
        else:
            _, x1, y1, x2, y2, score, label = row
            if label < 0:
                break
            x1, y1, x2, y2 = x1 / width, y1 / height, x2 / width, y2 / height
        found[number] = [label, score, y1, x1, y2, x2]
    return found


@pytest.mark.parametrize(("detector", "kind"), PAIRS)
def test_it_gives_what_frigates_own_code_gave(squares: Path, detector: str, kind: str) -> None:
    session = onnxruntime.InferenceSession(str(squares / f"{kind}.onnx"))
    _, height, width, _ = session.get_inputs()[0].shape
    compared = 0
    for frame, recorded in zip(sample_frames(8, seed=3), RECORDED["detections"][detector], strict=True):
        (outputs,) = session.run(None, {"images": cv2.resize(frame.image, (width, height))[None]})
        found = read_by_frigate(kind, outputs, width, height)
        np.testing.assert_allclose(found[: len(recorded)], np.array(recorded).reshape(-1, 6), atol=1e-4)
        assert not found[len(recorded) :, 1].any()
        compared += len(recorded)
    assert compared > 10


@pytest.mark.parametrize("detector", ["openvino", "onnx"])
def test_what_frigate_gave_are_our_boxes(exported_squares: Path, detector: str) -> None:
    entry = read_onnx(exported_squares).spec.input
    with ssd.load(exported_squares) as detect:
        for frame, recorded in zip(sample_frames(8, seed=3), RECORDED["detections"][detector], strict=True):
            ours = detect(preprocess(frame.image, entry))
            sides = ours.boxes[:, [1, 0, 3, 2]] / [entry.height, entry.width, entry.height, entry.width]
            wanted = np.column_stack([ours.class_ids, ours.scores, sides])[:20]
            assert np.abs(np.array(recorded)[:, :2] - wanted[:, :2]).max() < 1e-4
            assert np.abs(np.array(recorded)[:, 2:] - wanted[:, 2:]).max() < 1e-3


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="pip install 'ssd-edge[openvino]'")
def test_openvino_reads_it_as_frigate_asks_for_it(squares: Path) -> None:
    """One input, one output of (1, 1, N, 7), no shape free; at full precision the recorded rows."""
    import openvino

    compiled = openvino.Core().compile_model(str(squares / "ssd.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert (len(compiled.inputs), len(compiled.outputs)) == (1, 1)
    assert list(compiled.outputs[0].shape) == [1, 1, 20, 7]
    (frame, *_), (recorded, *_) = list(sample_frames(8, seed=3)), RECORDED["detections"]["openvino"]
    _, height, width, _ = compiled.inputs[0].shape
    found = read_by_frigate("ssd", compiled(cv2.resize(frame.image, (width, height))[None])[0], width, height)
    np.testing.assert_allclose(found[: len(recorded)], np.array(recorded), atol=1e-4)


@pytest.mark.parametrize(("detector", "kind"), PAIRS)
def test_the_blocks_are_frigates(squares: Path, detector: str, kind: str) -> None:
    block, facts = yaml.safe_load((squares / f"config.{detector}.yml").read_text()), RECORDED["config"]
    (chosen,) = block["detectors"].values()
    assert chosen["type"] == detector
    assert set(chosen) <= {*facts["detectors"][detector]}
    model = block["model"]
    assert set(model) <= set(facts["model"])
    for key, values in facts["model"].items():
        assert values is None or model[key] in values
    assert model["model_type"] == kind
    assert kind in facts["model_types"][detector]
    entry = onnxruntime.InferenceSession(str(squares / Path(model["path"]).name)).get_inputs()[0]
    assert entry.shape == [1, model["height"], model["width"], 3]
    assert (model["input_tensor"], model["input_dtype"], entry.type) == ("nhwc", "int", "tensor(uint8)")
    labels = (squares / "labels.txt").read_text().splitlines()
    assert block["objects"]["track"] == labels
    lines = (squares / Path(model["labelmap_path"]).name).read_text().splitlines()
    assert lines == [f"{number} {label}" for number, label in enumerate(labels)]


def test_frigates_onnx_detector_has_no_ssd() -> None:
    """Which is why there are two models: where this changes, one is enough."""
    assert "ssd" not in RECORDED["config"]["model_types"]["onnx"]
