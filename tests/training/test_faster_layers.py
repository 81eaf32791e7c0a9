from __future__ import annotations

import pytest
import torch
from torch import nn

from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.training import faster_layers
from ssd_edge.training.depthwise import DepthwiseConv2d
from ssd_edge.training.faster_layers import replace_layers_
from ssd_edge.training.winograd import WinogradConv2d
from tests.training.factories import CLASS_NAMES


@pytest.mark.parametrize(
    ("preset", "kind"), [("ssd300-vgg16", WinogradConv2d), ("ssdlite320-mobilenet-v3-large", DepthwiseConv2d)]
)
def test_a_model_keeps_its_names_and_weights(
    preset: str, kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faster_layers, "has_fast_products", lambda: True)
    with torch.device("meta"):
        model = build_model(make_spec(preset, CLASS_NAMES))
    before, names = dict(model.named_parameters()), [name for name, _ in model.named_modules()]
    replace_layers_(model)
    assert sum(isinstance(layer, kind) for layer in model.modules()) > 10
    assert [name for name, _ in model.named_modules()] == names
    assert dict(model.named_parameters()).keys() == before.keys()
    assert all(parameter is before[name] for name, parameter in model.named_parameters())


def test_dense_and_depthwise_kernels_are_replaced_by_their_own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    def network() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 3, groups=64), nn.Conv2d(64, 64, 1))

    for fast, dense in ((True, WinogradConv2d), (False, nn.Conv2d)):
        monkeypatch.setattr(faster_layers, "has_fast_products", lambda fast=fast: fast)
        model = network().eval()
        replace_layers_(model)
        assert [type(layer) for layer in model] == [dense, DepthwiseConv2d, nn.Conv2d]
        assert not any(layer.training for layer in model)


def test_what_is_replaced_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 3, groups=64))
    monkeypatch.setattr(faster_layers, "has_fast_products", lambda: True)
    replace_layers_(model)
    once = list(model)
    assert [type(layer) for layer in once] == [WinogradConv2d, DepthwiseConv2d]
    replace_layers_(model)
    assert all(new is old for new, old in zip(model, once, strict=True))
