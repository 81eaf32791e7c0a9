from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import ssd300_vgg16, ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.mobilenetv3 import mobilenet_v3_large

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.torchvision import load_torchvision
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.predict import TorchDetector
from ssd_edge.model.zoo import build_model, make_spec
from tests.model.torchvision_reference import detections_of, drawn_picture, photos, scaled_random

CLASSES = tuple("abcde")


def _ssd300() -> nn.Module:
    return ssd300_vgg16(weights=None, weights_backbone=None, num_classes=6)


def _ssdlite() -> nn.Module:
    return ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=6)


def _ssdlite_full_tail() -> nn.Module:
    """torchvision builds the full tail only around ImageNet weights; ask for the tail without them."""
    with pytest.MonkeyPatch.context() as patch:
        full = partial(mobilenet_v3_large, weights=None)
        patch.setattr(
            "torchvision.models.detection.ssdlite.mobilenet_v3_large",
            lambda norm_layer, **_: full(norm_layer=norm_layer, reduced_tail=False),
        )
        return _ssdlite()


@cache
def _zeros(build: Callable[[], nn.Module]) -> dict[str, torch.Tensor]:
    """A state dict of torchvision's names and shapes."""
    with torch.device("meta"):
        state_dict = build().state_dict()
    return {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in state_dict.items()}


@pytest.fixture(scope="module", params=[_ssd300, _ssdlite, _ssdlite_full_tail])
def reference(request: pytest.FixtureRequest) -> nn.Module:
    # SSD300 has no batch norms to calibrate, so that one image is enough, and it is the slow one.
    seeds = [5] if request.param is _ssd300 else [5, 6, 7]
    return scaled_random(request.param, [drawn_picture(300, seed) for seed in seeds])


def _assert_same(got: Detections, wanted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """One to one: same class, box within 0.5 px, score within 1e-3, same order where scores differ by more."""
    boxes, scores, class_ids = wanted
    assert len(got) == len(scores) > 20
    place = []
    for box, score, class_id in zip(boxes, scores, class_ids, strict=True):
        alike = (
            (got.class_ids == class_id)
            & (np.abs(got.scores - score) <= 1e-3)
            & (np.abs(got.boxes - box).max(axis=1) <= 0.5)
        )
        alike[place] = False
        assert alike.any(), (box, score, class_id)
        place.append(int(alike.argmax()))
    for early in range(len(place)):
        for late in range(early + 1, len(place)):
            assert place[early] < place[late] or scores[early] - scores[late] <= 1e-3


def _side(model: nn.Module) -> int:
    return int(model.transform.fixed_size[0])


@pytest.mark.slow
def test_its_weights_give_its_detections_on_a_drawing(reference: nn.Module) -> None:
    detector = TorchDetector(load_torchvision(reference.state_dict(), CLASSES))
    picture = drawn_picture(_side(reference), seed=1)
    wanted = detections_of(reference, picture)
    assert len(set(wanted[2])) > 1
    _assert_same(detector.detect(picture), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("reference", [_ssd300, _ssdlite], indirect=True)
def test_its_weights_give_its_detections_on_photos(reference: nn.Module) -> None:
    pictures = [cv2.resize(photo, (_side(reference),) * 2) for photo in photos(2 if _side(reference) == 300 else 3)]
    if not pictures:
        pytest.skip("shared/data/bccd is not beside this checkout")
    detector = TorchDetector(load_torchvision(reference.state_dict(), CLASSES))
    for picture in pictures:
        _assert_same(detector.detect(picture), detections_of(reference, picture))


@pytest.mark.parametrize(("preset", "build"), [("ssd300-vgg16", _ssd300), ("ssdlite320-mobilenet-v3-large", _ssdlite)])
def test_state_dict_loads_strictly_into_the_preset(preset: str, build: Callable[[], nn.Module]) -> None:
    model = build_model(make_spec(preset, CLASSES))
    filled = {name: tensor + 0.25 for name, tensor in _zeros(build).items() if tensor.is_floating_point()}
    filled |= {name: tensor + 4 for name, tensor in _zeros(build).items() if not tensor.is_floating_point()}
    model.load_state_dict(filled, strict=True)
    assert all(torch.equal(tensor, filled[name]) for name, tensor in model.state_dict().items())


def test_the_full_tail_has_its_own_architecture() -> None:
    model = load_torchvision(_zeros(_ssdlite_full_tail), CLASSES, name="m")
    assert (model.spec.architecture, model.spec.name) == ("mobilenet-v3-large-lite", "m")
    assert model.backbone.features[1][3][0].out_channels == 960


def test_the_weights_are_copied() -> None:
    weights = _zeros(_ssdlite)
    model = load_torchvision(weights, CLASSES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
    assert all(tensor.count_nonzero() == 0 for tensor in weights.values())


def test_coco_names_with_gaps_are_taken() -> None:
    coco = partial(ssdlite320_mobilenet_v3_large, weights=None, weights_backbone=None)
    spec = load_torchvision(_zeros(coco), [f"c{i}" for i in range(80)] + ["N/A"] * 10).spec
    assert len(spec.class_names) == 90


def test_wrong_number_of_names_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not match w\.pth: got 6 names; wanted 5 names, without the background"):
        load_torchvision(_zeros(_ssdlite), ["background", *CLASSES], origin="w.pth")


def test_foreign_weights_are_refused() -> None:
    foreign = {"base_net.0.weight": torch.zeros(1)}
    with pytest.raises(
        ArtifactError, match=r"w\.pth is not an SSD of torchvision: got tensors such as base_net\.0\.weight"
    ):
        load_torchvision(foreign, CLASSES, origin="w.pth")
    with pytest.raises(ArtifactError, match="got no tensors"):
        load_torchvision({}, CLASSES)


def test_another_width_is_refused() -> None:
    weights = {"backbone.features.1.3.0.weight": torch.zeros(576, 96, 1, 1)}
    with pytest.raises(ArtifactError, match="SSDLite of an unknown width: got 576 channels .* wanted 480 or 960"):
        load_torchvision(weights, CLASSES)


def test_weights_without_a_head_are_refused() -> None:
    with pytest.raises(ArtifactError, match="number of classes cannot be read from .*: its detection head is missing"):
        load_torchvision({"backbone.scale_weight": torch.zeros(512)}, CLASSES)


def test_a_changed_network_is_refused_by_its_first_tensor() -> None:
    weights = _zeros(_ssdlite) | {"backbone.features.0.0.0.weight": torch.zeros(16, 3, 5, 5)}
    with pytest.raises(ArtifactError, match=r"features\.0\.0\.0\.weight of float32 \(16, 3, 5, 5\); wanted float32"):
        load_torchvision(weights, CLASSES)


@pytest.mark.parametrize(
    ("preset", "count", "generator", "maps"),
    [
        (
            "ssd300-vgg16",
            8732,
            DefaultBoxGenerator(
                [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
                scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
                steps=[8, 16, 32, 64, 100, 300],
            ),
            (38, 19, 10, 5, 3, 1),
        ),
        (
            "ssdlite320-mobilenet-v3-large",
            3234,
            DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95),
            (20, 10, 5, 3, 2, 1),
        ),
    ],
)
def test_default_boxes_are_torchvisions(
    preset: str, count: int, generator: DefaultBoxGenerator, maps: tuple[int, ...]
) -> None:
    spec = make_spec(preset, CLASSES)
    boxes = anchor_boxes(spec.anchors)
    wanted = generator._grid_default_boxes([[side, side] for side in maps], [spec.input.height] * 2)
    assert boxes.shape == (count, 4)
    np.testing.assert_allclose(boxes, wanted.numpy(), atol=1e-6, rtol=0)


def test_thresholds_and_normalisation_are_torchvisions(reference: nn.Module) -> None:
    spec = load_torchvision(reference.state_dict(), CLASSES).spec
    assert (spec.nms.score_threshold, spec.nms.iou_threshold) == (reference.score_thresh, reference.nms_thresh)
    assert (spec.nms.top_k, spec.nms.keep_top_k) == (reference.topk_candidates, reference.detections_per_img)
    np.testing.assert_allclose(np.array(spec.input.mean) / 255, reference.transform.image_mean, rtol=1e-9)
    np.testing.assert_allclose(np.array(spec.input.std) / 255, reference.transform.image_std, rtol=1e-9)
