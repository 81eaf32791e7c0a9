from __future__ import annotations

from typing import Any

import pytest
import torch

from ssd_edge.core.errors import ArtifactError
from ssd_edge.model.weights import with_weights
from tests.model.factories import tiny_model, tiny_spec

STEM = "backbone.stem.0.0.weight"


def test_the_weights_are_used_as_they_are() -> None:
    weights = tiny_model().state_dict()
    model = with_weights(tiny_spec(), weights, origin="here")
    assert model.state_dict()[STEM].data_ptr() == weights[STEM].data_ptr()
    assert not model.training


def _without_stem(weights: dict[str, Any]) -> None:
    del weights[STEM]


def _with_more(weights: dict[str, Any]) -> None:
    weights["optimizer"] = torch.zeros(1)


def _with_half(weights: dict[str, Any]) -> None:
    weights[STEM] = weights[STEM].half()


def _with_shape(weights: dict[str, Any]) -> None:
    weights[STEM] = torch.zeros(8, 3, 3, 3)


def _with_number(weights: dict[str, Any]) -> None:
    weights[STEM] = 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_stem, r"got no backbone\.stem\.0\.0\.weight \(1 tensors missing\); wanted every weight"),
        (_with_more, r"got optimizer \(1 unknown tensors\); wanted the network's weights only"),
        (_with_half, r"stem\.0\.0\.weight of float16 \(16, 3, 3, 3\); wanted float32 \(16, 3, 3, 3\)"),
        (_with_shape, r"stem\.0\.0\.weight of float32 \(8, 3, 3, 3\); wanted float32 \(16, 3, 3, 3\)"),
        (_with_number, r"stem\.0\.0\.weight of int; wanted float32 \(16, 3, 3, 3\)"),
    ],
)
def test_what_does_not_fit_is_named(change: Any, message: str) -> None:
    weights = dict(tiny_model().state_dict())
    change(weights)
    with pytest.raises(ArtifactError, match=r"the weights of w\.pt do not match the network: .*" + message):
        with_weights(tiny_spec(), weights, origin="w.pt")
