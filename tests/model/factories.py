"""Small detectors for the tests of this room."""

from __future__ import annotations

import torch

from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import build_model, make_spec

CLASSES = ("car", "bus", "tram")


def tiny_spec(input_size: int = 64) -> ModelSpec:
    """Return the smallest preset."""
    return make_spec("ssd192-tiny", CLASSES, input_size=input_size)


def tiny_model(seed: int = 0) -> SSD:
    """Return the smallest detector with random weights, in evaluation mode."""
    torch.manual_seed(seed)
    return build_model(tiny_spec()).eval()
