from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from ssd_edge.core.interruptible import run_interruptible
from tests.processes import running

ROOT = Path(__file__).parents[2]
# A library that never comes back to Python, as TensorRT 8.5 does while it builds: libc's sleep stands in for it.
DEAF = """
import ctypes, sys, threading
from ssd_edge.cli.main import end_process
from ssd_edge.core.interruptible import run_interruptible
def work():
    print("working", flush=True)
    ctypes.CDLL(None).sleep(60)
try:
    run_interruptible(work, threading.Event(), patience_s=0.1)
except KeyboardInterrupt:
    print("unwound")
    end_process(130)
print("not reached")
"""


def test_what_the_work_returns_or_raises() -> None:
    stop = threading.Event()
    assert run_interruptible(lambda: 7, stop, patience_s=1) == 7
    with pytest.raises(ZeroDivisionError):
        run_interruptible(lambda: 1 // 0, stop, patience_s=1)
    assert not stop.is_set()


def test_the_work_has_a_thread_of_its_own() -> None:
    assert run_interruptible(threading.current_thread, threading.Event(), patience_s=1) is not threading.main_thread()


def test_work_that_heeds_a_signal_is_waited_for() -> None:
    stop, ended = threading.Event(), []

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(10)
        time.sleep(0.1)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_interruptible(work, stop, patience_s=10)
    assert ended


def test_a_process_ends_over_the_head_of_work_that_does_not() -> None:
    with running([sys.executable, "-c", DEAF], cwd=ROOT, stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "unwound\n")


CLOSING_LATE = """
import threading, time
from ssd_edge.core.interruptible import leave_behind
def close():
    time.sleep(0.5)
    print("closed", flush=True)
thread = threading.Thread(target=close, daemon=True)
thread.start()
leave_behind(thread)
"""


def test_a_program_ends_after_a_thread_that_is_still_closing() -> None:
    done = subprocess.run([sys.executable, "-c", CLOSING_LATE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "closed\n"
