"""What libraries really raise when something runs out becomes one named error with a remedy."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError, InputError, MissingPackageError, SsdEdgeError
from ssd_edge.core.resources import named_resources, resource_error

SAID = [
    (RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2>: No space left on device"), "shm"),
    (RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
                  "  File x\nRuntimeError: unable to open shared memory object </torch_9> in read-write mode"), "shm"),
    (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers "
                  "are out of shared memory."), "shm"),
    (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "GPU's memory"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "memory is"),
    (RuntimeError("received 0 items of ancdata"), "files are open"),
    (RuntimeError("can't start new thread"), "processes or threads"),
    (RuntimeError("The NVIDIA driver on your system is too old: driver version is insufficient"), "driver"),
    (OSError(errno.EMFILE, "Too many open files", "a.jpg"), "files are open"),
    (OSError(errno.ENOSPC, "No space left on device", "a.html"), "disk is full"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk is full"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory is full"),
    (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "processes or threads"),
    (MemoryError(), "memory is full"),
    (UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range(128)"), "locale"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "what"), SAID, ids=lambda value: str(value)[:40])
def test_each_has_a_name_and_a_remedy(error: Exception, what: str) -> None:
    named = resource_error(error)
    assert isinstance(named, DeviceError | InputError)
    assert what in named.what
    assert named.do
    assert named.got
    assert "\n" not in str(named)


@pytest.mark.parametrize(
    "error", [ValueError("a"), RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("memory"),
              FileNotFoundError(errno.ENOENT, "No such file", "x"), InputError("Too many open files"), SystemExit(1)]
)  # fmt: skip
def test_what_has_not_run_out_stays_what_it_is(error: BaseException) -> None:
    assert resource_error(error) is None
    with pytest.raises(type(error)), named_resources():
        raise error


def test_a_missing_library_names_its_package() -> None:
    text = "libGL.so.1: cannot open shared object file: No such file or directory"
    named = resource_error(ImportError(text))
    assert isinstance(named, MissingPackageError)
    assert named.do == "Install it: apt-get install libgl1"
    assert resource_error(ImportError("No module named 'x'")) is None


def test_memory_as_numpy_and_opencv_and_torch_really_run_out_of_it() -> None:
    """In a process whose address space is small."""
    code = """
import resource, sys
import cv2, numpy, torch
from ssd_edge.core.resources import resource_error
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (200 << 20),) * 2)
image = numpy.zeros((8, 8, 3), numpy.uint8)
for make in (
    lambda: numpy.ones(1 << 32), lambda: torch.ones(1 << 32), lambda: cv2.resize(image, (32000, 32000)),
    lambda: bytearray(1 << 33),
):
    try:
        make()
    except Exception as error:
        print(resource_error(error).what)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["the memory is full"] * 4, done.stderr


def test_descriptors_as_the_system_really_runs_out_of_them() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    kept: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 3, hard))
    try:
        with pytest.raises(SsdEdgeError, match="too many files are open: .*ulimit -n"), named_resources():
            while True:
                kept.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in kept:
            os.close(number)


def test_an_array_error_of_numpy_is_one_of_memory() -> None:
    with pytest.raises(DeviceError, match="the memory is full"), named_resources():
        np.ones(1 << 50)
