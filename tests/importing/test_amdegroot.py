from __future__ import annotations

from functools import cache

import pytest
from torch import Tensor

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.spec import InputSpec, NmsSpec
from ssd_edge.importing.amdegroot import AMDEGROOT
from ssd_edge.importing.labels import COCO, VOC
from ssd_edge.importing.weights import recognize
from ssd_edge.model.ssd import SSD
from tests.importing.stand_in import number, stand_ins


def weights(logits: int) -> dict[str, Tensor]:
    return stand_ins("ssd.pytorch-ssd300", heads="conf.", logits=logits)


@cache
def converted(logits: int) -> SSD:
    return AMDEGROOT.convert(weights(logits), None)


def test_it_is_recognised() -> None:
    assert recognize(weights(21), origin="here") is AMDEGROOT


@pytest.mark.parametrize(
    ("logits", "preset", "smallest", "names"),
    [
        (21, "ssd300-vgg16-voc", 30 / 300, VOC),
        (81, "ssd300-vgg16-coco", 21 / 300, COCO),
        (4, "ssd300-vgg16-coco", 21 / 300, ("class 1", "class 2", "class 3")),
    ],
)
def test_only_vocs_classes_mean_vocs_default_boxes(
    logits: int, preset: str, smallest: float, names: tuple[str, ...]
) -> None:
    # ssd.py: self.cfg = (coco, voc)[num_classes == 21]
    spec = converted(logits).spec
    assert (spec.name, spec.class_names, spec.anchors.count) == (preset, names, 8732)
    assert spec.anchors.levels[0].sizes[0] == pytest.approx((smallest, smallest))
    assert spec.anchors.clip == "centre"


def test_its_settings_come_along() -> None:
    spec = converted(21).spec
    assert spec.input == InputSpec(300, 300, (123, 117, 104), (1, 1, 1), "rgb")
    assert spec.nms == NmsSpec(0.01, 0.45, top_k=200, keep_top_k=200, max_candidates=200, clip_boxes=False)


def test_every_tensor_finds_its_place() -> None:
    theirs, ours = weights(21), converted(21).state_dict()
    assert sorted(map(number, ours.values())) == sorted(map(number, theirs.values()))
    assert number(ours["backbone.extra.4.2.weight"]) == number(theirs["extras.7.weight"])
    assert number(ours["backbone.extra.0.7.3.bias"]) == number(theirs["vgg.33.bias"])


def test_the_labels_must_fit() -> None:
    with pytest.raises(
        InputError, match=r"number of class names does not match the weights: got 2 names \(cat to dog\); wanted 20"
    ):
        AMDEGROOT.convert(weights(21), ("cat", "dog"))


def test_weights_that_are_not_whole_are_refused() -> None:
    theirs = weights(21)
    del theirs["extras.3.weight"]
    with pytest.raises(ArtifactError, match=r"of ssd.pytorch-ssd300 do not match .*got no backbone.extra.2.2.weight"):
        AMDEGROOT.convert(theirs, None)
    del theirs["loc.0.weight"]
    with pytest.raises(
        ArtifactError, match=r"look like ssd.pytorch-ssd300, but are incomplete: got no tensor loc.0.weight"
    ):
        AMDEGROOT.convert(theirs, None)
