from __future__ import annotations

import dataclasses
import io
import warnings
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torchvision.models.detection import ssd as torchvision_ssd
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_convert

from ssd_edge.core.errors import InputError
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import BoxCoding, NmsSpec
from ssd_edge.model.box_coder import decode
from ssd_edge.model.predict import DecodedSSD, TorchDetector, suppress
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
    got = decoded.normalised(torch.from_numpy(picture)[None])
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


@pytest.mark.parametrize("seed", range(12))
def test_suppression_is_torchvisions(seed: int) -> None:
    """Random heads through torchvision's own postprocessing and through ours."""
    generator = torch.Generator().manual_seed(seed)
    classes, count = [1, 3, 20][seed % 3], 400
    logits = torch.randn(count, classes + 1, generator=generator) * 1.5  # no score so near 1 that two are equal
    offsets = torch.randn(count, 4, generator=generator) * 2
    anchors = torch.rand(count, 4, generator=generator) * torch.tensor([1, 1, 0.5, 0.5]) + 0.01
    spec = NmsSpec(score_threshold=0.05, iou_threshold=0.4, top_k=60, keep_top_k=50, max_candidates=50)
    judge = SimpleNamespace(
        box_coder=BoxCoder((10.0, 10.0, 5.0, 5.0)),
        score_thresh=spec.score_threshold,
        nms_thresh=spec.iou_threshold,
        topk_candidates=spec.top_k,
        detections_per_img=spec.keep_top_k,
    )
    heads = {"bbox_regression": offsets[None], "cls_logits": logits[None]}
    corners = box_convert(anchors * 300, "cxcywh", "xyxy")
    (wanted,) = torchvision_ssd.SSD.postprocess_detections(judge, heads, [corners], [(300, 300)])
    boxes = decode(offsets, anchors, BoxCoding()).clamp(0, 1)
    got = suppress(boxes, logits.softmax(-1)[:, 1:], spec)
    torch.testing.assert_close(got[0] * 300, wanted["boxes"], atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(got[1], wanted["scores"])
    assert torch.equal(got[2], wanted["labels"] - 1)


def _suppress(boxes: list[list[float]], scores: list[list[float]], **limits: float) -> list[tuple[int, int]]:
    """Return (default box, class) of what is kept."""
    spec = NmsSpec(**{"score_threshold": 0.1, "iou_threshold": 0.5, **limits})
    table = torch.tensor(boxes)
    kept, _, class_ids = suppress(table, torch.tensor(scores), spec)
    return [
        (int((table == box).all(dim=1).nonzero()[0]), class_id)
        for box, class_id in zip(kept, class_ids.tolist(), strict=True)
    ]


LEFT, LEFT_HALF, RIGHT = [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.25, 0.5], [0.5, 0.5, 1.0, 1.0]


def test_a_score_at_the_threshold_is_not_enough() -> None:
    assert _suppress([LEFT, RIGHT], [[0.25], [0.5]], score_threshold=0.25) == [(1, 0)]


def test_an_overlap_at_the_threshold_is_allowed() -> None:
    # IoU of LEFT and LEFT_HALF is exactly 1/2.
    assert _suppress([LEFT, LEFT_HALF], [[0.9], [0.8]], iou_threshold=0.5) == [(0, 0), (1, 0)]
    assert _suppress([LEFT, LEFT_HALF], [[0.9], [0.8]], iou_threshold=0.49) == [(0, 0)]


def test_classes_do_not_suppress_each_other() -> None:
    assert _suppress([LEFT, LEFT], [[0.9, 0.0], [0.0, 0.8]]) == [(0, 0), (0, 1)]


def test_top_k_is_per_class_and_before_suppression() -> None:
    boxes, scores = [LEFT, [0.0, 0.0, 0.49, 0.5], RIGHT], [[0.9, 0.2], [0.8, 0.0], [0.7, 0.3]]
    limits = {"top_k": 2, "keep_top_k": 2, "max_candidates": 2}
    # Class 0 looks at LEFT and its near copy only; RIGHT is not among its two best.
    assert _suppress(boxes, scores, **limits) == [(0, 0), (2, 1)]


def test_keep_top_k_keeps_the_best_of_all_classes() -> None:
    scores = [[0.3, 0.9], [0.8, 0.2]]
    assert _suppress([LEFT, RIGHT], scores, keep_top_k=3) == [(0, 1), (1, 0), (0, 0)]


def test_equal_scores_keep_the_order_of_classes_then_boxes() -> None:
    kept = _suppress([RIGHT, LEFT], [[0.5, 0.5], [0.5, 0.5]])
    assert kept == [(0, 0), (1, 0), (0, 1), (1, 1)]


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
