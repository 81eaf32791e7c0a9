from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ssd_edge.model.initialisation import Initialiser, kaiming_, narrow_normal_, xavier_


def _layers() -> nn.Sequential:
    layers = nn.Sequential(nn.Conv2d(64, 32, 3), nn.BatchNorm2d(32), nn.Conv2d(32, 64, 1, bias=False))
    for tensor in layers.state_dict().values():
        tensor.fill_(7)
    return layers


@pytest.mark.parametrize(
    ("initialise", "deviation"),
    [
        (xavier_, math.sqrt(2 / ((64 + 32) * 9))),  # Glorot and Bengio 2010, equation 16
        (kaiming_, math.sqrt(2 / (32 * 9))),  # He et al. 2015, equation 14
        (narrow_normal_, 0.03),
    ],
)
def test_weights_have_the_rules_deviation(initialise: Initialiser, deviation: float) -> None:
    torch.manual_seed(0)
    layers = _layers()
    initialise(layers)
    weight = layers[0].weight
    assert weight.std().item() == pytest.approx(deviation, rel=0.03)
    assert abs(weight.mean().item()) < deviation * 0.05
    assert not layers[0].bias.any()


def test_batch_norms_start_as_identity() -> None:
    layers = _layers()
    kaiming_(layers)
    pixels = torch.randn(2, 32, 4, 4)
    torch.testing.assert_close(layers[1].eval()(pixels), pixels, atol=1e-4, rtol=1e-4)
    assert layers[1].num_batches_tracked == 0
