"""What the driver itself says of the GPU; here it is the emulated one."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from ssd_edge.backends import cuda_driver
from tools.emulator.rehearse import needs_emulator, rehearse

HERE = "tests.backends.test_cuda_driver"
MIB = 1 << 20


def measured(allocated: int) -> list[int]:
    """Runs on the emulated GPU: how much is in use before and after something was allocated."""
    library = ctypes.CDLL("libcuda.so.1")
    library.cuInit(0)
    context, address = ctypes.c_void_p(), ctypes.c_ulonglong()
    library.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
    library.cuCtxPushCurrent_v2(context)
    used = [cuda_driver.used_memory()]
    library.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(allocated))
    used.append(cuda_driver.used_memory())
    library.cuMemFree_v2(address)
    used.append(cuda_driver.used_memory())
    library.cuCtxPopCurrent_v2(ctypes.byref(context))
    library.cuDevicePrimaryCtxRelease_v2(0)
    return used


@needs_emulator
def test_memory_in_use_is_the_drivers() -> None:
    used, report = rehearse(f"{HERE}:measured", allocated=5 * MIB)
    assert used == [0, 5 * MIB, 0]
    assert report["faults"] == []
    assert report["contexts_here"] == report["primary_uses"] == 0


@needs_emulator
def test_shared_memory_is_the_systems() -> None:
    used, report = rehearse(f"{HERE}:measured", env={"SSD_EDGE_EMU_INTEGRATED": "1"}, allocated=MIB)
    assert min(used) > MIB  # this very process has more
    assert report["faults"] == []


def test_memory_that_no_program_could_have() -> None:
    text = "MemTotal:  8000 kB\nMemFree:  100 kB\nMemAvailable:  3000 kB\nBuffers: 1 kB\n"
    assert cuda_driver._used_by_system(text) == 5000 * 1024


def test_a_machine_without_a_driver_uses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "_LIBRARY", "libno-such-driver.so.1")
    assert cuda_driver.used_memory() == 0
    assert not cuda_driver.is_virtual()


@pytest.mark.parametrize(
    ("name", "is_virtual"),
    [
        ("Emulated", True),
        ("ACME Virtual GPU 3000", True),
        ("GPU simulator", True),
        ("NVIDIA GeForce RTX 4090", False),
        ("Orin (nvgpu)", False),
        ("GRID T4-8Q", False),  # a share of a real one
    ],
)
def test_a_gpu_that_calls_itself_virtual(name: str, is_virtual: bool) -> None:
    assert cuda_driver.is_virtual_name(name) == is_virtual


class NoGpu:
    """A driver that works and sees no GPU, as in a container that was started without one."""

    def __init__(self, _: str) -> None:
        self.called: list[str] = []
        opened.append(self)

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*_: object) -> int:
            self.called.append(name)
            return 0

        return call


opened: list[NoGpu] = []


def test_a_driver_without_a_gpu_is_not_asked_about_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", NoGpu)
    opened.clear()
    found = cuda_driver.describe_gpu()
    assert isinstance(found, str)
    assert "no GPU" in found
    assert opened[0].called == ["cuInit", "cuDeviceGetCount"]
    assert not cuda_driver.is_virtual()
