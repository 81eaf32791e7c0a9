"""The stand-in of TensorRT for tests of the builder alone: no driver is needed, and what was asked for is recorded."""

from __future__ import annotations

from types import ModuleType

from tools.emulator.standin.device import Paper
from tools.emulator.standin.module import make_module
from tools.emulator.standin.releases import release_of
from tools.emulator.standin.world import Traits

RELEASES = ("8.5.2.2", "8.6.2.3", "10.3.0", "10.16.2.10", "11.4.0.106")


def make_tensorrt(
    version: str,
    *,
    parses: bool = True,
    builds: bool = True,
    plugins: tuple[str, ...] | None = None,
    dla_cores: int = 0,
    cuda_problem: int = 0,
    no_int8_kernel: str = "",
    short_of_memory: bool = False,
) -> ModuleType:
    """A module of a release; ``calls`` on it lists what was asked for, in order. With a problem CUDA does not start."""
    traits = Traits(
        parses=parses,
        builds=builds,
        plugins=plugins,
        dla_cores=dla_cores,
        cuda_problem=cuda_problem,
        no_int8_kernel=no_int8_kernel,
        short_of_memory=short_of_memory,
    )
    module = make_module(release_of(version), version=version, device=Paper(), traits=traits)
    module.calls = module._standin.calls  # type: ignore[attr-defined]
    return module
