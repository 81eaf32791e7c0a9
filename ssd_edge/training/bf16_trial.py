"""Whether this processor trains this network faster in bfloat16: measured, since it depends on both."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssd_edge.model.ssd import SSD

_WORTHWHILE_GAIN = 1.15
_MOST_ROUNDS = 4
_ENOUGH_S = 6.0
_CHANNELS, _CELLS = 64, 38  # of a plain convolution, as SSD300 has them


@dataclass(frozen=True)
class PrecisionTimes:
    """Processor seconds of one forward and backward pass on one thread, the best of a few.

    They are those of a single convolution where not even that gains.
    """

    float32_s: float
    bfloat16_s: float

    @property
    def bfloat16_pays(self) -> bool:
        """Whether the gain is large enough to give up digits for."""
        return self.float32_s > _WORTHWHILE_GAIN * self.bfloat16_s


def measure_precisions(model: SSD, *, batch_size: int) -> PrecisionTimes:
    """Time both precisions in turns on a copy of the model, which itself is left as it is.

    Processors without bfloat16 instructions (AVX512-BF16, AMX, Arm BF16) emulate it several times slower, and depthwise
    convolutions gain nothing from it where plain ones gain a factor of two or three. Plain ones are timed first: where
    they gain nothing no network does, and a pass of VGG16 would take minutes. One thread's own processor time is
    counted: whatever else runs on the machine does not change the choice.
    """
    with _one_thread():
        convolution = nn.Conv2d(_CHANNELS, _CHANNELS, kernel_size=3, padding=1)
        times = _both_times(convolution, torch.zeros(1, _CHANNELS, _CELLS, _CELLS))
        if not times.bfloat16_pays:
            return times
        entry = model.spec.input
        return _both_times(copy.deepcopy(model).train(), torch.zeros(batch_size, 3, entry.height, entry.width))


def _both_times(network: nn.Module, inputs: Tensor) -> PrecisionTimes:
    network.to(memory_format=torch.channels_last)
    inputs = inputs.to(memory_format=torch.channels_last)
    float32_s: list[float] = []
    bfloat16_s: list[float] = []
    while len(float32_s) < 2 or (len(float32_s) < _MOST_ROUNDS and sum(float32_s + bfloat16_s) < _ENOUGH_S):
        float32_s.append(_pass_seconds(network, inputs, bfloat16=False))
        bfloat16_s.append(_pass_seconds(network, inputs, bfloat16=True))
    return PrecisionTimes(min(float32_s), min(bfloat16_s))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _pass_seconds(network: nn.Module, inputs: Tensor, *, bfloat16: bool) -> float:
    started = time.thread_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        outputs = network(inputs)
    parts = [outputs] if isinstance(outputs, Tensor) else outputs
    torch.autograd.backward([part.float().sum() for part in parts])
    return time.thread_time() - started
