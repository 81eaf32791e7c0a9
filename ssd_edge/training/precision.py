"""Whether this processor trains this network faster in bfloat16: measured, since it depends on both."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ssd_edge.model.ssd import SSD

_WORTHWHILE_GAIN = 1.15
_MOST_ROUNDS = 4
_ENOUGH_S = 6.0


@dataclass(frozen=True)
class PrecisionTimes:
    """Processor seconds of one forward and backward pass on one thread, the best of a few."""

    float32_s: float
    bfloat16_s: float

    @property
    def bfloat16_pays(self) -> bool:
        """Whether the gain is large enough to give up digits for."""
        return self.float32_s > _WORTHWHILE_GAIN * self.bfloat16_s


def measure_precisions(model: SSD, *, batch_size: int) -> PrecisionTimes:
    """Time both precisions in turns on a copy of the model, which itself is left as it is.

    Processors without bfloat16 instructions (AVX512-BF16, AMX, Arm BF16) emulate it several times slower, and depthwise
    convolutions gain nothing from it where plain ones gain a factor of two or three. One thread's own processor time is
    counted: whatever else runs on the machine does not change the choice.
    """
    trial = copy.deepcopy(model).train().to(memory_format=torch.channels_last)
    entry = model.spec.input
    images = torch.zeros(batch_size, 3, entry.height, entry.width).to(memory_format=torch.channels_last)
    float32_s: list[float] = []
    bfloat16_s: list[float] = []
    with _one_thread():
        while len(float32_s) < 2 or (len(float32_s) < _MOST_ROUNDS and sum(float32_s + bfloat16_s) < _ENOUGH_S):
            float32_s.append(_pass_seconds(trial, images, bfloat16=False))
            bfloat16_s.append(_pass_seconds(trial, images, bfloat16=True))
    return PrecisionTimes(min(float32_s), min(bfloat16_s))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _pass_seconds(model: SSD, images: Tensor, *, bfloat16: bool) -> float:
    started = time.thread_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        outputs = model(images)
    torch.autograd.backward(outputs.class_logits.float().sum() + outputs.box_offsets.float().sum())
    return time.thread_time() - started
