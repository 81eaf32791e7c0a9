"""The threads that a processor trains with: one a core, or a single one where other programs take the cores."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ssd_edge.backends import cpu
from ssd_edge.core.log import log
from ssd_edge.core.native_memory import kept_memory
from ssd_edge.core.ranks import world_size
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.timing import time_calls
from ssd_edge.model.predict import torch_threads
from ssd_edge.model.ssd import SSD
from ssd_edge.model.zoo import build_model
from ssd_edge.training.config import Machine
from ssd_edge.training.precision import training_pass, trial_pass, uses_cuda
from ssd_edge.training.recipe import Precision

_TRIAL_BATCH = 4
_CLEAR_GAIN = 1.5  # of one thread over all: less is the luck of a moment
_ROUNDS = 5
_ENOUGH_S = 8.0


def choose_threads(spec: ModelSpec, precision: Precision, machine: Machine) -> int | None:
    """Return 1 where a training pass is clearly faster on one thread than on all cores, else None; why is logged.

    PyTorch's threads wait for each other at the end of each layer, and spin meanwhile. Where another program has one of
    the cores, all wait for the thread that was to run there: beside two busy processes on two cores, steps took 5 to
    18 times the processor time, and one thread alone was 4 to 14 times as fast (PyTorch 2.14, an AMD EPYC).

    It is chosen once for a run, which goes on with it, as the number of threads decides the last digits of sums.
    """
    cores = cpu.physical_cores()
    elsewhere = uses_cuda(machine) or machine.device == "mps"
    if elsewhere or cores == 1 or machine.cores is not None or world_size(machine.devices) > 1:
        return None
    times = measure_threads(build_model(spec), cores, bfloat16=precision == "bfloat16")
    if not times.one_is_faster:
        return None
    log.warning(
        f"training on 1 of {cores} cores: other programs are using the processor, and a pass on {cores} threads takes "
        f"{times.all_s / times.one_s:.1f} times as long. To use all cores anyway: --cores {cores}"
    )
    return 1


class ThreadTimes(NamedTuple):
    """Seconds of one forward and backward pass, medians."""

    one_s: float
    all_s: float

    @property
    def one_is_faster(self) -> bool:
        """Whether one thread gains enough to do without the other cores."""
        return self.all_s > _CLEAR_GAIN * self.one_s


def measure_threads(model: SSD, cores: int, *, bfloat16: bool) -> ThreadTimes:
    """Time passes on one thread and on all cores in turns; the model itself is left as it is."""
    network, inputs = trial_pass(model, _TRIAL_BATCH)

    def on(threads: int) -> None:
        with torch_threads(threads):
            training_pass(network, inputs, bfloat16=bfloat16)

    with kept_memory():
        passes = {threads: partial(on, threads) for threads in (1, cores)}
        times = time_calls(passes, rounds=_ROUNDS, budget_s=_ENOUGH_S, warm_up=0)
    return ThreadTimes(times[1].median_ms / 1000, times[cores].median_ms / 1000)
