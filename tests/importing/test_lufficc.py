from __future__ import annotations

import re
from functools import cache

import pytest
import torch
from torch import Tensor

from ssd_edge.core.spec import InputSpec, NmsSpec
from ssd_edge.importing.amdegroot import AMDEGROOT
from ssd_edge.importing.family import Family
from ssd_edge.importing.labels import COCO, VOC
from ssd_edge.importing.lufficc import LUFFICC, with_pointwise_squeezing
from ssd_edge.importing.weights import recognize
from ssd_edge.model.ssd import SSD
from tests.importing.stand_in import number, stand_ins

FAMILIES = {family.name: family for family in LUFFICC}
HEADS = "box_head.predictor.cls_headers."
_FROM_AMDEGROOT = {
    r"^vgg\.": "backbone.vgg.",
    r"^extras\.": "backbone.extras.",
    r"^L2Norm\.": "backbone.l2_norm.",
    r"^conf\.": HEADS,
    r"^loc\.": "box_head.predictor.reg_headers.",
}


def amdegroots(logits: int) -> dict[str, Tensor]:
    return stand_ins("ssd.pytorch-ssd300", heads="conf.", logits=logits)


def weights(name: str, logits: int = 21) -> dict[str, Tensor]:
    """Return tensors of one of the project's networks; its SSD300 is amdegroot's under other names."""
    if name != "vgg_ssd300":
        return stand_ins(name, heads=HEADS, logits=logits)
    tensors = amdegroots(logits)
    for old, new in _FROM_AMDEGROOT.items():
        tensors = {re.sub(old, new, key): tensor for key, tensor in tensors.items()}
    return tensors


@cache
def converted(name: str, logits: int) -> SSD:
    return FAMILIES[name].convert(weights(name, logits), None)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


def test_it_is_recognised(family: Family) -> None:
    assert recognize(weights(family.name), origin="here") is family


def test_its_settings_come_along(family: Family) -> None:
    spec = converted(family.name, 21).spec
    side = int(family.name[-3:])
    assert spec.class_names == VOC
    assert spec.input == InputSpec(side, side, (123, 117, 104), (1, 1, 1), "rgb")
    assert spec.anchors.count == {300: 8732, 320: 3234, 512: 24564}[side]
    assert spec.anchors.clip == "centre"
    assert spec.nms == NmsSpec(0.01, 0.45, top_k=400, keep_top_k=100, max_candidates=400, clip_boxes=False)


@pytest.mark.parametrize(
    ("name", "voc", "coco"),
    [
        ("vgg_ssd300", (30, 60, 264), (21, 45, 261)),
        ("vgg_ssd512", (35.84, 76.8, 460.8), (20.48, 51.2, 460.8)),
    ],
)
def test_cocos_classes_mean_cocos_default_boxes(name: str, voc: tuple[float, ...], coco: tuple[float, ...]) -> None:
    # MIN_SIZES of configs/vgg_*.yaml: of the first, second and last level
    for logits, pixels, names in ((21, voc, VOC), (81, coco, COCO)):
        spec = converted(name, logits).spec
        levels = [spec.anchors.levels[k] for k in (0, 1, -1)]
        assert [level.sizes[0][0] * spec.input.width for level in levels] == pytest.approx(pixels)
        assert spec.class_names == names


def test_its_ssd300_is_amdegroots() -> None:
    ours = converted("vgg_ssd300", 21).state_dict()
    wanted = AMDEGROOT.convert(amdegroots(21), None).state_dict()
    assert {name: number(tensor) for name, tensor in ours.items()} == {
        name: number(tensor) for name, tensor in wanted.items()
    }


def test_linear_layers_become_convolutions() -> None:
    layers = {"a.2.fc1.weight": torch.arange(6.0).reshape(2, 3), "a.2.fc1.bias": torch.zeros(2)}
    pooled = torch.randn(1, 3, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.linear(pooled, layers["a.2.fc1.weight"], layers["a.2.fc1.bias"])
    ours = with_pointwise_squeezing(layers)
    got = torch.nn.functional.conv2d(pooled[:, :, None, None], ours["a.2.fc1.weight"], ours["a.2.fc1.bias"])
    assert torch.allclose(got.flatten(1), wanted)
