from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ssd_edge.training import winograd
from ssd_edge.training.winograd import WinogradConv2d, is_suitable
from tests.training.test_depthwise import gradients

CHANNELS = 6, 5
_ERROR = 3e-5  # of the largest value: some fifty times that of float32


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


def test_small_maps_other_types_and_what_does_not_learn_are_pytorchs_own() -> None:
    own, _ = layers()
    plain = nn.Conv2d(*CHANNELS, 3, padding=1)
    plain.load_state_dict(own.state_dict())
    small, large = cells(2, CHANNELS[0], 15, 40), cells(2, CHANNELS[0], 16, 40)
    assert torch.equal(own(small), plain(small))
    assert not torch.equal(own(large), plain(large))
    with torch.no_grad():
        assert torch.equal(own(large), plain(large))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(own(large), plain(large))
    assert torch.equal(own.double()(large.double()), plain.double()(large.double()))


def test_frozen_weights_and_first_layers_get_no_gradient() -> None:
    own, _ = layers()
    own.requires_grad_(False)
    features = cells(1, CHANNELS[0], 20, 20).requires_grad_()
    own(features).sum().backward()
    assert features.grad is not None
    assert own.weight.grad is own.bias.grad is None  # type: ignore[union-attr]
    own.requires_grad_()
    own(features.detach()).sum().backward()
    assert own.weight.grad is not None


def test_the_outputs_may_be_changed_in_place() -> None:
    own, exact = layers()
    features = cells(1, CHANNELS[0], 20, 20)
    found, wanted = (layer(values).relu_() for layer, values in ((own, features), (exact, features.double())))
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)
    found.sum().backward()
    wanted.sum().backward()
    torch.testing.assert_close(own.weight.grad.double(), exact.weight.grad, rtol=1e-4, atol=1e-4)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("layer", "suits"),
    [
        (nn.Conv2d(64, 64, 3, padding=1), True),
        (nn.Conv2d(512, 84, 3, padding=1), True),
        (nn.Conv2d(64, 64, 3), True),
        (nn.Conv2d(3, 64, 3, padding=1), False),
        (nn.Conv2d(512, 16, 3, padding=1), False),
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
