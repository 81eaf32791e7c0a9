"""The precision that a network is trained in: chosen for a GPU, measured on a processor."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ssd_edge.core.errors import InputError
from ssd_edge.core.log import log
from ssd_edge.core.native_memory import kept_memory
from ssd_edge.core.ranks import world_size
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.timing import time_calls
from ssd_edge.model.predict import torch_threads
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import build_model
from ssd_edge.training.config import Machine
from ssd_edge.training.faster_layers import replace_layers_
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
    on_gpu = uses_cuda(machine)
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


def uses_cuda(machine: Machine) -> bool:
    """Whether a run trains on an NVIDIA GPU."""
    return torch.cuda.is_available() and machine.device in ("auto", "cuda")


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
    with torch_threads(1), kept_memory():
        convolution = nn.Conv2d(_CHANNELS, _CHANNELS, kernel_size=3, padding=1).to(memory_format=torch.channels_last)
        inputs = torch.zeros(1, _CHANNELS, _CELLS, _CELLS).to(memory_format=torch.channels_last)
        times = _both_times(convolution, inputs)
        if not times.bfloat16_pays:
            return times
        return _both_times(*trial_pass(model, batch_size))


def trial_pass(model: SSD, batch_size: int) -> tuple[nn.Module, Tensor]:
    """Return a copy of the model as it trains on a processor, and a batch for it, (B, 3, H, W) float32."""
    entry, network = model.spec.input, copy.deepcopy(model).train()
    replace_layers_(network)
    inputs = torch.zeros(batch_size, 3, entry.height, entry.width)
    return network.to(memory_format=torch.channels_last), inputs.to(memory_format=torch.channels_last)


def _both_times(network: nn.Module, inputs: Tensor) -> PrecisionTimes:
    passes = {bfloat16: partial(training_pass, network, inputs, bfloat16=bfloat16) for bfloat16 in (False, True)}
    times = time_calls(passes, rounds=_MOST_ROUNDS, at_least=2, budget_s=_ENOUGH_S, warm_up=0, clock=time.thread_time)
    return PrecisionTimes(times[False].spread.minimum / 1000, times[True].spread.minimum / 1000)


def training_pass(network: nn.Module, inputs: Tensor, *, bfloat16: bool) -> None:
    """Compute a batch and its gradients on a processor."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        outputs = network(inputs)
    parts = [outputs] if isinstance(outputs, Tensor) else outputs
    torch.autograd.backward([part.float().sum() for part in parts])
