from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from ssd_edge.core.native_memory import give_back, kept_memory, limit_arenas

# Threads that take and keep memory at one time: glibc gives each a heap of its own, eight a core at most.
PROGRAM = """
import threading
from ssd_edge.core.native_memory import limit_arenas
print(limit_arenas())
meet, kept = threading.Barrier(8), []
def work():
    meet.wait()
    kept.append([bytearray(1000) for _ in range(200)])
    meet.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
heaps = sum(" 00000000 00:00 0" in line and "rw-p" in line for line in open("/proc/self/maps")
            if not line.rstrip().endswith("]") and int(line.split("-")[0], 16) % (1 << 26) == 0)
print(heaps)
"""


def heaps(**variables: str) -> tuple[str, int]:
    environment = {key: value for key, value in os.environ.items() if key not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment | variables, capture_output=True, text=True, check=True
    )
    said, count = done.stdout.split()
    return said, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_threads_share_two_heaps_unless_the_user_says_otherwise() -> None:
    said, count = heaps()
    if said == "False":
        pytest.skip("another C library")
    assert count <= 1  # the first heap is the program's own
    assert heaps(MALLOC_ARENA_MAX="8") == ("False", pytest.approx(7, abs=1))


def test_a_setting_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not limit_arenas()


HOLES = """
from ssd_edge.core.native_memory import give_back
def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
pieces = [bytearray(100_000) for _ in range(500)]  # 50 MB in the heap: glibc maps larger ones apart
del pieces[:-1]  # the last one keeps the heap from shrinking
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_holes_in_the_heap_are_given_back() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("another C library")
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 30_000  # KiB


PROBE = """
import resource
from contextlib import nullcontext
import torch
from ssd_edge.core.native_memory import kept_memory

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


def test_nothing_is_done_with_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("ssd_edge.core.native_memory._call", lambda name, *_: calls.append(name) or 0)
    with kept_memory():
        pass
    assert calls == ["mallopt"]


class OtherLibrary:
    """As ctypes shows a C library without glibc's own functions."""

    def __getattr__(self, name: str) -> object:
        raise AttributeError(name)


@pytest.mark.parametrize("system", ["darwin", "linux"])
def test_where_the_c_library_is_another_nothing_is_set_and_the_block_runs(
    monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    for name in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    opened = []
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: opened.append(path) or OtherLibrary())
    assert limit_arenas() is False
    with pytest.raises(KeyError), kept_memory():
        raise KeyError
    give_back()
    assert (opened == []) == (system == "darwin")
