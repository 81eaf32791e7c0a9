from __future__ import annotations

import dataclasses

import pytest
import torch

from ssd_edge.core.errors import ArtefactError
from ssd_edge.model.anchors import MapSize
from ssd_edge.model.architectures import build_model, empty_backbone, network
from ssd_edge.model.zoo import make_spec
from tests.model.factories import CLASSES, tiny_spec


@pytest.mark.parametrize("preset", ["ssd192-tiny", "ssdlite320-mobilenet-v3-large", "ssd300-vgg16"])
def test_every_weight_is_initialised_from_the_seed(preset: str) -> None:
    spec = make_spec(preset, CLASSES)
    torch.manual_seed(1)
    first = build_model(spec).state_dict()
    torch.manual_seed(1)
    second = build_model(spec).state_dict()
    for name, tensor in first.items():
        assert tensor.isfinite().all(), name
        assert torch.equal(tensor, second[name]), name
        if tensor.ndim == 4:
            assert 0.001 < tensor.std() < 1, name


def test_vgg_scale_starts_at_20() -> None:
    # SSD, section 3.1
    torch.manual_seed(0)
    scale = build_model(make_spec("ssd300-vgg16", CLASSES)).backbone.get_parameter("scale_weight")
    assert scale.eq(20).all()


def test_a_network_without_weights_takes_no_memory() -> None:
    assert all(tensor.is_meta for tensor in network(tiny_spec()).state_dict().values())
    assert all(tensor.is_meta for tensor in empty_backbone("vgg16", MapSize(300, 300)).parameters())


def test_a_new_model_is_ready_to_train() -> None:
    model = build_model(tiny_spec())
    assert model.training
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


def test_an_unknown_architecture_is_refused() -> None:
    spec = dataclasses.replace(tiny_spec(), architecture="resnet")
    with pytest.raises(
        ArtefactError,
        match="unknown to this version: got 'resnet'; wanted compact, mobilenet-v3-large-lite, .*Update ssd-edge",
    ):
        build_model(spec)
