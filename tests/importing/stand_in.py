"""Tensors of the right names and shapes that hold one number each and take no memory."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.parity.recording import load_recording

RECORDED_LOGITS = 6


def stand_ins(recording: str, *, heads: str, logits: int = RECORDED_LOGITS) -> dict[str, Tensor]:
    """Return another project's tensors, each filled with its own number from 1 on.

    Args:
        recording: where names and shapes are from.
        heads: what the names of the layers that put out logits begin with; depthwise layers in them keep their shape.
        logits: real classes and background.
    """
    shapes = load_recording(recording).shapes
    resized = {
        name: (shape[0] // RECORDED_LOGITS * logits, *shape[1:]) if name.startswith(heads) and _is_last(name) else shape
        for name, shape in shapes.items()
    }
    return {
        name: torch.tensor(0 if name.endswith("num_batches_tracked") else float(number)).expand(shape)
        for number, (name, shape) in enumerate(resized.items(), start=1)
    }


def _is_last(name: str) -> bool:
    """Whether it is the last layer of a head, not the depthwise one of SSDLite or its batch norm."""
    return ".conv." not in name or ".conv.3." in name


def number(tensor: Tensor) -> float:
    """Return what a stand-in is filled with."""
    assert not any(tensor.stride()), "other numbers may have joined it"
    return float(tensor[(0,) * tensor.ndim])
