"""The presets' anchors against tables that are written down here from the papers and projects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models.detection import SSD300_VGG16_Weights, SSDLite320_MobileNet_V3_Large_Weights

from ssd_edge.core.anchor_spec import AnchorSpec, AnchorTable
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.presets import PRESETS, preset_of
from ssd_edge.model.zoo import build_model, make_spec, network_cost

CLASSES = tuple(f"class {number}" for number in range(20))
SSD300 = ([38, 19, 10, 5, 3, 1], [8, 16, 32, 64, 100, 300], [4, 6, 6, 6, 4, 4])
SSD512 = ([64, 32, 16, 8, 4, 2, 1], [8, 16, 32, 64, 128, 256, 512], [4, 6, 6, 6, 6, 4, 4])
TABLES = {
    # preset: maps, steps, boxes per cell, sizes in pixels
    "ssd300-vgg16-voc": (*SSD300, [30, 60, 111, 162, 213, 264, 315]),
    "ssd300-vgg16-coco": (*SSD300, [21, 45, 99, 153, 207, 261, 315]),
    "ssd300-resnet50": (*SSD300, [21, 45, 99, 153, 207, 261, 315]),
    "ssd512-vgg16-voc": (*SSD512, [35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8, 537.65]),
    "ssd512-vgg16": (*SSD512, [20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72]),
}
COUNTS = {
    **dict.fromkeys(("ssd300-vgg16", "ssd300-vgg16-voc", "ssd300-vgg16-coco", "ssd300-resnet50"), 8732),
    **dict.fromkeys(("ssd512-vgg16", "ssd512-vgg16-voc"), 24564),
    **dict.fromkeys(("ssd300-mobilenet-v1", "ssdlite300-mobilenet-v1", "ssdlite300-mobilenet-v2"), 3000),
    "ssdlite300-squeezenet": 2568,
    "ssdlite320-mobilenet-v3-large": 3234,
    "ssdlite320-mobilenet-v3-large-stride8": 40 * 40 * 4 + 3234,
}


@pytest.mark.parametrize(("preset", "count"), COUNTS.items())
def test_the_published_numbers_of_default_boxes(preset: str, count: int) -> None:
    assert make_spec(preset, CLASSES).anchors.count == count


def _written_down(preset: str) -> np.ndarray:
    maps, steps, per_cell, sizes = TABLES[preset]
    side, boxes = steps[-1], []
    for k, cells in enumerate(maps):
        small, middle = sizes[k] / side, (sizes[k] * sizes[k + 1]) ** 0.5 / side
        shapes = [(small, small), (middle, middle)]
        for ratio in (2, 3)[: (per_cell[k] - 2) // 2]:
            wide, narrow = small * ratio**0.5, small / ratio**0.5
            shapes += [(wide, narrow), (narrow, wide)]
        centers = [(i + 0.5) * steps[k] / side for i in range(cells)]
        boxes += [(cx, cy, w, h) for cy in centers for cx in centers for w, h in shapes]
    return np.array(boxes).clip(0, 1)


@pytest.mark.parametrize("preset", TABLES)
def test_the_tables_are_the_projects(preset: str) -> None:
    boxes = anchor_boxes(make_spec(preset, CLASSES).anchors)
    np.testing.assert_allclose(boxes, _written_down(preset), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("preset", "weights"),
    [
        ("ssd300-vgg16", SSD300_VGG16_Weights.COCO_V1),
        ("ssdlite320-mobilenet-v3-large", SSDLite320_MobileNet_V3_Large_Weights.COCO_V1),
    ],
)
def test_the_cost_is_what_torchvision_publishes(preset: str, weights: SSD300_VGG16_Weights) -> None:
    cost = network_cost(make_spec(preset, [f"class {number}" for number in range(90)]))
    assert cost.parameters == weights.meta["num_params"]
    assert round(cost.macs / 1e9, 3) == weights.meta["_ops"]
    published = PRESETS[preset].published
    assert published is not None
    assert published.mean_ap == weights.meta["_metrics"]["COCO-val2017"]["box_map"]


@pytest.mark.parametrize("preset", ["ssdlite300-mobilenet-v1", "ssdlite300-squeezenet"])
def test_random_weights_pass_a_signal_to_the_coarsest_map(preset: str) -> None:
    """Depthwise layers without batch norm let it fade, if their weights are drawn as those of others are."""
    torch.manual_seed(0)
    model = build_model(make_spec(preset, CLASSES))
    with torch.no_grad():
        maps = model.backbone(torch.randn(1, 3, 300, 300))
    deviations = [float(level.std()) for level in maps]
    assert all(0.02 < deviation < 50 for deviation in deviations), deviations


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_known_by_its_network_and_other_networks_are_none(preset: str) -> None:
    for classes in (CLASSES, CLASSES[:1]):
        assert preset_of(make_spec(preset, classes)) == preset
    spec = make_spec(preset, CLASSES)
    first, *others = spec.anchors.levels
    fitted = replace(spec.anchors, levels=(replace(first, sizes=((0.123, 0.2), *first.sizes[1:])), *others))
    foreign = AnchorSpec((), table=AnchorTable(9))
    for anchors in (fitted, AnchorSpec(spec.anchors.levels[:1]), foreign):
        assert preset_of(replace(spec, anchors=anchors)) == ""
    assert preset_of(replace(spec, architecture="foreign-onnx")) == ""
    assert preset_of(replace(spec, input=replace(spec.input, mean=(1.0, 2.0, 3.0)))) == ""
