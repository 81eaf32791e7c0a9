from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ssd_edge.model.heads import separable_predictor
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.training.depthwise import DepthwiseConv2d
from ssd_edge.training.faster_layers import replace_layers_
from tests.training.factories import CLASS_NAMES

_BFLOAT16_DIGITS = 2**-8


def gradients(layer: nn.Conv2d, features: Tensor, of_output: Tensor) -> list[Tensor]:
    """The output, and the gradients of features and parameters."""
    leaf = features.clone().requires_grad_()
    output = layer(leaf)
    found = torch.autograd.grad(output, [leaf, *layer.parameters()], of_output.to(output.dtype))
    return [output.detach(), *found]


@pytest.mark.parametrize(("kernel", "stride", "bias"), [(3, 1, False), (3, 2, True), (5, 1, False), (5, 2, False)])
def test_its_gradients_are_those_of_double_precision(kernel: int, stride: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=bias)
    holder = nn.Sequential(layer)
    replace_layers_(holder)
    assert type(holder[0]) is DepthwiseConv2d
    features = torch.randn(3, 8, 12, 12).bfloat16().contiguous(memory_format=torch.channels_last)
    of_output = torch.randn(3, 8, 12 // stride, 12 // stride).bfloat16()
    found = gradients(holder[0], features, of_output)
    wanted = gradients(copy.deepcopy(layer).double(), features.double(), of_output.double())
    assert [tensor.dtype for tensor in found[:2]] == [torch.bfloat16] * 2
    assert all(tensor.dtype == torch.float32 for tensor in found[2:])
    for name, own, exact in zip(("output", "features", "weight", "bias"), found, wanted, strict=False):
        difference = (own.double() - exact).abs().max() / exact.abs().max()
        assert difference < 3 * _BFLOAT16_DIGITS, name


@pytest.mark.parametrize(("kernel", "side"), [(5, 12), (3, 5), (3, 2), (3, 1)])
def test_what_bfloat16_is_slow_or_wrong_at_has_the_digits_of_float32(kernel: int, side: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, kernel, 2, kernel // 2, groups=8, bias=False)
    holder = nn.Sequential(layer)
    replace_layers_(holder)
    features = torch.randn(2, 8, side, side).bfloat16()
    of_output = torch.randn(2, 8, (side + 1) // 2, (side + 1) // 2).bfloat16()
    _, of_features, of_weight = gradients(holder[0], features, of_output)
    _, wanted, weight = gradients(layer, features.float(), of_output.float())
    assert torch.equal(of_features, wanted.bfloat16())
    torch.testing.assert_close(of_weight, weight, rtol=1e-5, atol=1e-5)


def test_from_float32_and_without_gradients_it_is_pytorchs_own() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 3, 2, 1, groups=8)
    holder = nn.Sequential(layer)
    replace_layers_(holder)
    features, of_output = torch.randn(2, 8, 12, 12), torch.randn(2, 8, 6, 6)
    for own, wanted in zip(
        gradients(holder[0], features, of_output), gradients(layer, features, of_output), strict=True
    ):
        assert torch.equal(own, wanted)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(holder(features.bfloat16()), layer(features.bfloat16()))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (5, 2, 1), (5, 3, 1), (3, 2, 2)])
@pytest.mark.parametrize("size", [(12, 12), (11, 14), (1, 2)])
def test_timms_convolutions_with_tensorflows_padding_are_replaced_too(
    kernel: int, stride: int, dilation: int, size: tuple[int, int]
) -> None:
    theirs = pytest.importorskip("timm.layers").Conv2dSame
    torch.manual_seed(0)
    layer = theirs(8, 8, kernel, stride, dilation=dilation, groups=8, bias=False)
    holder = nn.Sequential(copy.deepcopy(layer))
    replace_layers_(holder)
    assert type(holder[0]) is DepthwiseConv2d
    features, of_output = torch.randn(2, 8, *size), torch.randn(2, 8, *(-(-side // stride) for side in size))
    for own, wanted in zip(
        gradients(holder[0], features, of_output), gradients(layer, features, of_output), strict=True
    ):
        assert torch.equal(own, wanted)
    found = gradients(holder[0], features.bfloat16(), of_output.bfloat16())
    exact = gradients(layer.double(), features.bfloat16().double(), of_output.bfloat16().double())
    for own, wanted in zip(found, exact, strict=True):
        assert (own.double() - wanted).abs().max() <= 3 * _BFLOAT16_DIGITS * wanted.abs().max()


def test_frozen_weights_get_no_gradient() -> None:
    holder = nn.Sequential(nn.Conv2d(8, 8, 5, 2, 2, groups=8))
    replace_layers_(holder)
    holder.requires_grad_(False)
    features = torch.randn(2, 8, 12, 12, dtype=torch.bfloat16, requires_grad=True)
    holder(features).sum().backward()
    assert features.grad is not None
    assert all(parameter.grad is None for parameter in holder.parameters())


def test_a_model_keeps_its_names_weights_and_modes() -> None:
    model = build_model(make_spec("ssdlite320-mobilenet-v3-large", CLASS_NAMES, input_size=96))
    before, names = dict(model.named_parameters()), [name for name, _ in model.named_modules()]
    replace_layers_(model)
    assert [name for name, _ in model.named_modules()] == names
    assert dict(model.named_parameters()).keys() == before.keys()
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    found = [module for module in model.modules() if isinstance(module, DepthwiseConv2d)]
    assert found
    assert all(1 < module.groups == module.in_channels for module in found)
    plain = separable_predictor(8, 4).eval()
    replace_layers_(plain)
    assert isinstance(plain[0], DepthwiseConv2d)
    assert not plain[0].training
    assert type(plain[3]) is nn.Conv2d
