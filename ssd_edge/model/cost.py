"""What a network costs: parameters and multiplications, counted without computing anything."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.architectures import network


class Cost(NamedTuple):
    """The size of a network.

    Attributes:
        parameters: learned numbers; the statistics of batch norms are none.
        macs: multiply-accumulates of its convolutions and matrix products for one picture.
        boxes: default boxes, each of which is scored for every class.
    """

    parameters: int
    macs: int
    boxes: int


def network_cost(spec: ModelSpec) -> Cost:
    """Count the network of ``spec`` on the ``meta`` device.

    Raises:
        ArtefactError: no such architecture, or the spec's anchors do not lie on its feature maps.
    """
    model = network(spec).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, 3, spec.input.height, spec.input.width, device="meta"))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, counter.get_total_flops() // 2, spec.anchors.count)
