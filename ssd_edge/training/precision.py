"""Whether this processor trains this network faster in bfloat16: measured, since it depends on both."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from ssd_edge.model.ssd import SSD

_WORTHWHILE_GAIN = 1.15
_ROUNDS = 3


@dataclass(frozen=True)
class PrecisionTimes:
    """Seconds of one forward and backward pass, the best of a few."""

    float32_s: float
    bfloat16_s: float

    @property
    def bfloat16_pays(self) -> bool:
        """Whether the gain is large enough to give up digits for."""
        return self.float32_s > _WORTHWHILE_GAIN * self.bfloat16_s


def measure_precisions(model: SSD, *, batch_size: int) -> PrecisionTimes:
    """Time both precisions in turns on a copy of the model, which itself is left as it is.

    Processors without bfloat16 instructions (AVX512-BF16, AMX, Arm BF16) emulate it several times slower, and depthwise
    convolutions gain nothing from it where plain ones gain a factor of two or three.
    """
    trial = copy.deepcopy(model).train().to(memory_format=torch.channels_last)
    entry = model.spec.input
    images = torch.zeros(batch_size, 3, entry.height, entry.width).to(memory_format=torch.channels_last)
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(_ROUNDS):
        for bfloat16, seconds in times.items():
            seconds.append(_pass_seconds(trial, images, bfloat16=bfloat16))
    return PrecisionTimes(min(times[False]), min(times[True]))


def _pass_seconds(model: SSD, images: Tensor, *, bfloat16: bool) -> float:
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        outputs = model(images)
    torch.autograd.backward(outputs.class_logits.float().sum() + outputs.box_offsets.float().sum())
    return time.perf_counter() - started
