from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ssd_edge.training import winograd
from ssd_edge.training.winograd import WinogradConv2d, estimated_gain, is_suitable
from tests.training.test_depthwise import gradients

CHANNELS = 6, 5
_ERROR = 3e-5  # of the largest value: some fifty times that of float32


_LEAST_GAIN = winograd._LEAST_GAIN


@pytest.fixture(autouse=True)
def _used_wherever_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "_LEAST_GAIN", 0.0)


@pytest.fixture
def estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own limit."""
    monkeypatch.setattr(winograd, "_LEAST_GAIN", _LEAST_GAIN)


def layers(padding: int = 1, *, bias: bool = True) -> tuple[WinogradConv2d, nn.Conv2d]:
    """One of ours, and PyTorch's with the same weights in double precision."""
    torch.manual_seed(0)
    own = WinogradConv2d(*CHANNELS, 3, padding=padding, bias=bias)
    exact = nn.Conv2d(*CHANNELS, 3, padding=padding, bias=bias).double()
    exact.load_state_dict(own.state_dict())
    return own, exact


def cells(images: int, channels: int, height: int, width: int) -> Tensor:
    return torch.randn(images, channels, height, width).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("size", [(20, 20), (18, 23), (37, 19)])
def test_outputs_and_gradients_are_those_of_double_precision(size: tuple[int, int], padding: int, bias: bool) -> None:
    own, exact = layers(padding, bias=bias)
    features = cells(2, CHANNELS[0], *size)
    of_output = cells(2, CHANNELS[1], *(side + 2 * padding - 2 for side in size))
    found, wanted = gradients(own, features, of_output), gradients(exact, features.double(), of_output.double())
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    assert len(found) == len(wanted) == 3 + bias
    for tensor, right in zip(found, wanted, strict=True):
        assert tensor.dtype == torch.float32
        assert (tensor - right).abs().max() < _ERROR * right.abs().max()


@pytest.mark.parametrize("tiles", [1, 7, 30, 1000], ids=["a row", "rows", "an image", "all images"])
def test_the_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, tiles: int) -> None:
    own, exact = layers()
    features, of_output = cells(3, CHANNELS[0], 21, 17), cells(3, CHANNELS[1], 21, 17)
    monkeypatch.setattr(winograd, "_BLOCK_BYTES", 0)
    monkeypatch.setattr(winograd, "_LEAST_TILES", tiles)
    wanted = gradients(exact, features.double(), of_output.double())
    for tensor, right in zip(gradients(own, features, of_output), wanted, strict=True):
        assert (tensor - right).abs().max() < _ERROR * right.abs().max()


def test_maps_of_any_layout_are_read() -> None:
    own, exact = layers()
    features, of_output = torch.randn(2, CHANNELS[0], 20, 40)[..., ::2], torch.randn(2, CHANNELS[1], 20, 20)
    wanted = gradients(exact, features.double(), of_output.double())
    for tensor, right in zip(gradients(own, features, of_output), wanted, strict=True):
        assert (tensor - right).abs().max() < _ERROR * right.abs().max()


def is_pytorchs_own(layer: WinogradConv2d, features: Tensor) -> bool:
    """Whether its outputs have the very bits of PyTorch's."""
    plain = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, dtype=layer.weight.dtype)
    plain.load_state_dict(layer.state_dict())
    return torch.equal(layer(features), plain(features))


def test_other_types_and_what_needs_no_gradients_are_pytorchs_own() -> None:
    own, _ = layers()
    features = cells(2, CHANNELS[0], 16, 40)
    assert not is_pytorchs_own(own, features)
    with torch.no_grad():
        assert is_pytorchs_own(own, features)
    with torch.autocast("cpu", torch.bfloat16):
        assert is_pytorchs_own(own, features)
    assert is_pytorchs_own(own, features[0])
    assert is_pytorchs_own(own.double(), features.double())


def test_older_versions_of_pytorch_ask_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def before_2_4() -> bool:
        raise AssertionError("called with a device")

    monkeypatch.setattr(torch, "is_autocast_enabled", lambda: before_2_4())
    monkeypatch.setattr(torch, "is_autocast_cpu_enabled", lambda: False, raising=False)
    own, _ = layers()
    assert not is_pytorchs_own(own, cells(2, CHANNELS[0], 16, 40))


@pytest.mark.usefixtures("estimate")
def test_only_where_the_estimate_promises_a_gain_it_is_not_pytorchs_own() -> None:
    layer = WinogradConv2d(64, 64, 3, padding=1)
    large, small, few = cells(2, 64, 76, 76), cells(8, 64, 16, 16), cells(1, 64, 19, 19)
    assert [is_pytorchs_own(layer, features) for features in (large, small, few)] == [False, True, True]
    assert estimated_gain(layer, 2, (76, 76)) > 1.3 > estimated_gain(layer, 8, (16, 16))
    assert estimated_gain(layer, 0, (76, 76)) == 0.0
    torch.testing.assert_close(layer(cells(0, 64, 76, 76)), cells(0, 64, 76, 76))


def test_only_the_gradients_that_are_wanted_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("_convolve", "_weight_gradient"):
        function = getattr(winograd, name)
        monkeypatch.setattr(winograd, name, lambda *given, f=function, n=name: (asked.append(n), f(*given))[1])
    own, _ = layers()
    features = cells(1, CHANNELS[0], 20, 20)
    own(features).sum().backward()
    assert asked == ["_convolve", "_weight_gradient"]
    assert own.weight.grad is not None
    own.zero_grad()
    own.requires_grad_(False)
    asked.clear()
    own(features.requires_grad_()).sum().backward()
    assert asked == ["_convolve", "_convolve"]
    assert features.grad is not None
    assert own.weight.grad is None


def test_default_types_and_devices_of_the_program_do_not_matter() -> None:
    own, exact = layers()
    features, of_output = cells(1, CHANNELS[0], 20, 20), cells(1, CHANNELS[1], 20, 20)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = gradients(own, features, of_output)
    finally:
        torch.set_default_dtype(before)
    assert {tensor.dtype for tensor in found} == {torch.float32}
    torch.testing.assert_close(found[0].double(), exact(features.double()), rtol=1e-4, atol=1e-4)


def test_a_gradient_of_a_gradient_is_refused() -> None:
    own, _ = layers()
    features = cells(1, CHANNELS[0], 20, 20).requires_grad_()
    (first,) = torch.autograd.grad(own(features).square().sum(), features, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_the_outputs_may_be_changed_in_place() -> None:
    own, exact = layers()
    features = cells(1, CHANNELS[0], 20, 20)
    found, wanted = (layer(values).relu_() for layer, values in ((own, features), (exact, features.double())))
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)
    found.sum().backward()
    wanted.sum().backward()
    torch.testing.assert_close(own.weight.grad.double(), exact.weight.grad, rtol=1e-4, atol=1e-4)  # type: ignore[union-attr]


@pytest.mark.usefixtures("estimate")
@pytest.mark.parametrize(
    ("layer", "suits"),
    [
        (nn.Conv2d(64, 64, 3, padding=1), True),
        (nn.Conv2d(512, 84, 3, padding=1), True),
        (nn.Conv2d(64, 64, 3), True),
        (nn.Conv2d(3, 64, 3, padding=1), False),
        (nn.Conv2d(512, 16, 3, padding=1), False),
        (nn.Conv2d(48, 48, 3, padding=1), False),
        (nn.Conv2d(64, 64, 3, 2, padding=1), False),
        (nn.Conv2d(64, 64, 3, padding=6, dilation=6), False),
        (nn.Conv2d(64, 64, 1), False),
        (nn.Conv2d(64, 64, (3, 1)), False),
        (nn.Conv2d(64, 64, 3, padding="same"), False),
        (nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"), False),
        (nn.Conv2d(64, 64, 3, padding=3), False),
        (nn.Conv2d(128, 128, 3, padding=1, groups=2), False),
        (WinogradConv2d(64, 64, 3, padding=1), False),
    ],
)
def test_only_dense_kernels_of_3_with_many_channels_are_suitable(layer: nn.Conv2d, suits: bool) -> None:
    assert is_suitable(layer) is suits


def test_a_copy_learns_for_itself() -> None:
    own, _ = layers()
    twin = copy.deepcopy(own)
    twin(cells(1, CHANNELS[0], 20, 20)).sum().backward()
    assert twin.weight.grad is not None
    assert own.weight.grad is None
