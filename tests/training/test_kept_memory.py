from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from ssd_edge.training.kept_memory import kept_memory

PROBE = """
import resource
from contextlib import nullcontext
import torch
from ssd_edge.training.kept_memory import kept_memory

def faults(repeats=8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(repeats):
        torch.ones(48 << 18)  # 48 MiB: more than glibc ever takes from its heap by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1])

usual = faults()
with kept_memory():
    faults(12)  # aligned blocks do not fit the gaps of equal ones until some have joined
    kept, held = faults(), resident()
print(usual, kept, held - resident(), faults())
"""

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def probe(**environment: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, env=environment)
    return [int(word) for word in done.stdout.split()]


@on_glibc
def test_what_is_freed_is_not_faulted_in_again_and_is_given_back_at_the_end() -> None:
    usual, kept, given_back, after = probe(PYTHONPATH=":".join(sys.path))
    assert kept < usual / 20
    assert given_back > 40 << 8  # pages of 4 KiB
    assert after > 20 * max(kept, 1)


@on_glibc
def test_an_allocator_that_its_user_has_tuned_is_left_alone() -> None:
    usual, kept, *_ = probe(PYTHONPATH=":".join(sys.path), MALLOC_MMAP_THRESHOLD_="65536")
    assert kept > usual / 2


def test_nothing_is_done_without_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda *_: pytest.fail("a library was opened"))
    with kept_memory():
        pass
