"""The precision that a network is trained in: chosen for a GPU, measured on a processor."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssd_edge.core.errors import InputError
from ssd_edge.core.log import log
from ssd_edge.core.native_memory import kept_memory
from ssd_edge.core.ranks import world_size
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import build_model
from ssd_edge.training.config import Machine
from ssd_edge.training.depthwise import replace_depthwise_
from ssd_edge.training.recipe import Precision

_TRIAL_BATCH = 4
_WORTHWHILE_GAIN = 1.15
_MOST_ROUNDS = 4
_ENOUGH_S = 6.0
_CHANNELS, _CELLS = 64, 38  # of a plain convolution, as SSD300 has them


def choose_precision(spec: ModelSpec, asked: Precision | None, machine: Machine) -> Precision:
    """Return the precision of the convolutions; what was chosen where none was asked for is logged.

    On a GPU it is bfloat16 where that has it, else float16. On a processor both are measured; several processes would
    measure different things, and take float32.

    Raises:
        InputError: float16 on a processor.
    """
    on_gpu = torch.cuda.is_available() and machine.device in ("auto", "cuda")
    if asked == "float16" and not on_gpu:
        raise InputError(
            "float16 needs a GPU", got=f"--device {machine.device}", wanted="bfloat16 or float32 on this device"
        )
    if asked is not None:
        return asked
    if on_gpu:
        chosen: Precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        log.info(f"using {chosen} on the GPU")
        return chosen
    return "float32" if world_size(machine.devices) > 1 else _measured(spec)


def _measured(spec: ModelSpec) -> Precision:
    times = measure_precisions(build_model(spec), batch_size=_TRIAL_BATCH)
    chosen: Precision = "bfloat16" if times.bfloat16_pays else "float32"
    log.info(f"using {chosen}: here bfloat16 takes {times.bfloat16_s / times.float32_s:.2f} of float32's time")
    return chosen


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
    convolutions gain little from it where plain ones gain a factor of two or three. Plain ones are timed first: where
    they gain nothing no network does, and a pass of VGG16 would take minutes. One thread's own processor time is
    counted: whatever else runs on the machine does not change the choice.
    """
    with on_threads(1), kept_memory():
        convolution = nn.Conv2d(_CHANNELS, _CHANNELS, kernel_size=3, padding=1)
        times = _both_times(convolution, torch.zeros(1, _CHANNELS, _CELLS, _CELLS))
        if not times.bfloat16_pays:
            return times
        return _both_times(*trial_pass(model, batch_size, bfloat16=True))


def trial_pass(model: SSD, batch_size: int, *, bfloat16: bool) -> tuple[nn.Module, Tensor]:
    """Return a copy of the model as it trains on a processor, and a batch for it, (B, 3, H, W) float32."""
    entry, network = model.spec.input, copy.deepcopy(model).train()
    if bfloat16:
        replace_depthwise_(network)
    return network, torch.zeros(batch_size, 3, entry.height, entry.width)


def _both_times(network: nn.Module, inputs: Tensor) -> PrecisionTimes:
    network.to(memory_format=torch.channels_last)
    inputs = inputs.to(memory_format=torch.channels_last)
    float32_s: list[float] = []
    bfloat16_s: list[float] = []
    while len(float32_s) < 2 or (len(float32_s) < _MOST_ROUNDS and sum(float32_s + bfloat16_s) < _ENOUGH_S):
        float32_s.append(pass_seconds(network, inputs, bfloat16=False, clock=time.thread_time))
        bfloat16_s.append(pass_seconds(network, inputs, bfloat16=True, clock=time.thread_time))
    return PrecisionTimes(min(float32_s), min(bfloat16_s))


@contextmanager
def on_threads(number: int) -> Iterator[None]:
    """Let PyTorch compute on this many threads until the block ends."""
    threads = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def pass_seconds(network: nn.Module, inputs: Tensor, *, bfloat16: bool, clock: Callable[[], float]) -> float:
    """Return what a forward and backward pass on a processor takes by a clock, in seconds."""
    started = clock()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        outputs = network(inputs)
    parts = [outputs] if isinstance(outputs, Tensor) else outputs
    torch.autograd.backward([part.float().sum() for part in parts])
    return clock() - started
