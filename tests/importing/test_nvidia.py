from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.spec import NmsSpec
from ssd_edge.importing.labels import COCO
from ssd_edge.importing.nvidia import NVIDIA
from ssd_edge.importing.weights import recognize
from ssd_edge.model.ssd import SSD
from tests.importing.stand_in import stand_ins

ANCHORS = (4, 6, 6, 6, 4, 4)


KINDS = (("loc", "regression", 4), ("conf", "classification", 81))


@cache
def weights() -> dict[str, Tensor]:
    """Return tensors of the project's names and shapes, the biases of the heads counted through."""
    counted = {
        f"{kind}.{level}.bias": torch.arange(anchors * columns, dtype=torch.float32)
        for kind, _, columns in KINDS
        for level, anchors in enumerate(ANCHORS)
    }
    return {**stand_ins("nvidia_ssd", heads="conf.", logits=81), **counted}


@cache
def converted() -> SSD:
    return NVIDIA.convert(weights(), None)


def test_it_is_recognised() -> None:
    assert recognize(weights(), origin="here") is NVIDIA


def test_its_settings_come_along() -> None:
    spec = converted().spec
    assert (spec.class_names, spec.anchors.count, spec.input.color_order) == (COCO, 8732, "rgb")
    assert np.allclose(spec.input.mean, 255 * np.array([0.485, 0.456, 0.406]))
    assert np.allclose(spec.input.std, 255 * np.array([0.229, 0.224, 0.225]))
    assert spec.nms == NmsSpec(0.05, 0.5, top_k=200, keep_top_k=200, max_candidates=200, clip_boxes=False)


@pytest.mark.parametrize(("kind", "columns"), [(kind, columns) for _, kind, columns in KINDS])
def test_the_heads_are_reordered(kind: str, columns: int) -> None:
    for level, anchors in enumerate(ANCHORS):
        bias = converted().state_dict()[f"head.{kind}_head.module_list.{level}.bias"]
        # ssd/model.py views channels as (columns, anchors, cells); ours are read as (cells, anchors, columns).
        assert bias.tolist() == [column * anchors + anchor for anchor in range(anchors) for column in range(columns)]


def test_the_half_precision_files_of_torch_hub_give_the_same() -> None:
    half = {f"1.{name}": tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights().items()}
    assert recognize(half, origin="here") is NVIDIA
    ours = NVIDIA.convert(half, None).state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in converted().state_dict().items())


def test_another_backbone_is_refused() -> None:
    tensors = dict(weights())
    tensors["additional_blocks.0.0.weight"] = torch.zeros(256, 256, 1, 1)  # ResNet34's
    with pytest.raises(ArtifactError, match=r"of nvidia_ssd do not match the network: got backbone.extra.0.0.weight"):
        NVIDIA.convert(tensors, None)


def test_heads_that_are_no_multiple_of_the_default_boxes_are_refused() -> None:
    tensors = dict(weights())
    tensors["conf.1.bias"] = torch.zeros(485)
    with pytest.raises(ArtifactError, match=r"got head.classification_head.module_list.1.bias of float32 \(485,\)"):
        NVIDIA.convert(tensors, None)
