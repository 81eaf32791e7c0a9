from __future__ import annotations

import dataclasses
import io
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ssd_edge.core.errors import InputError
from ssd_edge.core.preprocess import preprocess
from ssd_edge.model.predict import DecodedSSD, TorchDetector
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights
from tests.model.factories import tiny_model


def _loud_model() -> SSD:
    """A tiny detector whose scores are spread out."""
    model = tiny_model()
    with torch.no_grad():
        for predictor in model.head.classification_head.module_list:
            predictor.weight.mul_(3)
    return model


def _picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _respecced(model: SSD, **changes: object) -> SSD:
    return with_weights(dataclasses.replace(model.spec, **changes), model.state_dict(), origin="here")


@pytest.mark.parametrize("color_order", ["rgb", "bgr"])
def test_pixels_reach_the_network_normalised_in_its_colour_order(color_order: str) -> None:
    model = tiny_model()
    entry = dataclasses.replace(model.spec.input, mean=(10, 20, 30), std=(2, 4, 5), color_order=color_order)
    decoded = DecodedSSD(_respecced(model, input=entry))
    picture = np.full((1, 1, 3), (110, 120, 130), np.uint8)
    b, g, r = 110, 120, 130
    first, second, third = (r, g, b) if color_order == "rgb" else (b, g, r)
    wanted = [(first - 10) / 2, (second - 20) / 4, (third - 30) / 5]
    got = decoded.normalized(torch.from_numpy(picture)[None])
    assert got.shape == (1, 3, 1, 1)
    np.testing.assert_allclose(got.flatten(), wanted, rtol=1e-6)


def test_boxes_and_scores_are_those_of_the_heads() -> None:
    model, pictures = _loud_model(), torch.from_numpy(np.stack([_picture(64, 64, 1), _picture(64, 64, 2)]))
    with torch.inference_mode():
        boxes, scores = DecodedSSD(model)(pictures)
        rgb = pictures.numpy()[..., ::-1].astype(np.float32)
        logits, _ = model(torch.from_numpy((rgb - 127.5) / 127.5).permute(0, 3, 1, 2))
    exponentials = np.exp(logits.numpy().astype(np.float64))
    wanted = (exponentials / exponentials.sum(-1, keepdims=True))[..., 1:]
    np.testing.assert_allclose(scores, wanted, atol=1e-6)
    assert boxes.shape == (2, model.spec.anchors.count, 4)
    assert (boxes.dtype, scores.dtype) == (torch.float32, torch.float32)


def test_boxes_are_cut_off_only_where_the_spec_says_so() -> None:
    model, picture = _loud_model(), torch.from_numpy(_picture(64, 64))[None]
    free = _respecced(model, nms=dataclasses.replace(model.spec.nms, clip_boxes=False))
    with torch.inference_mode():
        cut, whole = DecodedSSD(model)(picture)[0], DecodedSSD(free)(picture)[0]
    assert whole.min() < 0
    assert whole.max() > 1
    assert torch.equal(cut, whole.clamp(0, 1))


def test_the_detector_resizes_by_core_preprocess_and_answers_in_the_pictures_pixels() -> None:
    detector, picture = TorchDetector(_loud_model()), _picture(90, 300)
    got = detector.detect(picture)
    small = detector.detect(preprocess(picture, detector.spec.input))
    assert len(got) == len(small) > 20
    np.testing.assert_allclose(got.boxes, small.boxes * np.array([300, 90, 300, 90]) / 64, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(got.scores, small.scores)
    np.testing.assert_array_equal(got.class_ids, small.class_ids)
    assert (np.diff(got.scores) <= 0).all()


def test_the_detector_takes_grey_pictures_and_refuses_empty_ones() -> None:
    detector = TorchDetector(_loud_model())
    grey = np.full((30, 40), 128, np.uint8)
    np.testing.assert_array_equal(detector.detect(grey).scores, detector.detect(np.dstack([grey] * 3)).scores)
    with pytest.raises(InputError, match="the image has no pixels"):
        detector.detect(np.zeros((0, 5, 3), np.uint8))


def test_the_detector_switches_the_model_to_evaluation() -> None:
    model = tiny_model().train()
    TorchDetector(model)
    assert not model.training


def test_nothing_above_the_threshold_gives_no_detections() -> None:
    model = tiny_model()
    quiet = _respecced(model, nms=dataclasses.replace(model.spec.nms, score_threshold=0.999))
    assert len(TorchDetector(quiet).detect(_picture(64, 64))) == 0


def test_it_traces_to_a_graph_without_shape_arithmetic() -> None:
    decoded = DecodedSSD(_loud_model()).eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            decoded,
            (torch.zeros(1, 64, 64, 3, dtype=torch.uint8),),
            file,
            opset_version=17,
            dynamo=False,
            input_names=["images"],
            dynamic_axes={"images": {0: "batch"}},
        )
    operators = {node.op_type for node in onnx.load_from_string(file.getvalue()).graph.node}
    assert not operators & {"Shape", "Expand", "If", "Loop", "NonZero", "GatherND", "Where"}
    pictures = np.stack([_picture(64, 64, seed) for seed in range(3)])
    boxes, scores = onnxruntime.InferenceSession(file.getvalue()).run(None, {"images": pictures})
    with torch.inference_mode():
        wanted = decoded(torch.from_numpy(pictures))
    np.testing.assert_allclose(boxes, wanted[0], atol=1e-5)
    np.testing.assert_allclose(scores, wanted[1], atol=1e-5)
