from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from ssd_edge.core.shutdown import one_stop

ROOT = Path(__file__).parents[2]


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_second_ctrl_c_does_not_tear_the_stopping() -> None:
    torn = False
    with pytest.raises(KeyboardInterrupt), one_stop():
        try:
            press()
        finally:
            torn = True
            press()
            torn = False
    assert not torn
    with pytest.raises(KeyboardInterrupt):
        press()  # as before


def test_a_third_ends_the_process_at_once() -> None:
    code = (
        "import os, signal\nfrom ssd_edge.core.shutdown import one_stop\n"
        "def press(): os.kill(os.getpid(), signal.SIGINT)\n"
        "with one_stop():\n    try: press()\n    finally:\n        press(); print('stopping', flush=True)\n"
        "        press(); print('not reached', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "stopping\n", "")


def test_other_handlers_and_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        with one_stop():
            press()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]

    def in_a_thread() -> None:
        with one_stop():
            seen.append(0)

    thread = Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert seen == [signal.SIGINT, 0]
