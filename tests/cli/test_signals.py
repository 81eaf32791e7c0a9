from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from ssd_edge.cli.signals import SignalStop, one_stop, stopped_by_signals
from ssd_edge.core import shutdown
from ssd_edge.core.shutdown import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_one_that_comes_long_after_acts_as_before(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)
    arrived: list[int] = []
    signal.signal(number, lambda seen, _: arrived.append(seen))
    try:
        stop = StopRequest()
        with stopped_by_signals(stop):
            assert not stop.requested
            os.kill(os.getpid(), number)
            assert stop.requested
            assert arrived == []
            os.kill(os.getpid(), number)
            assert arrived == []
            monkeypatch.setattr(shutdown, "PATIENCE_S", 0.0)
            os.kill(os.getpid(), number)
            assert arrived == [number]
    finally:
        signal.signal(number, before)


def test_a_signal_soon_after_the_key_tears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "_began", [])
    stop = StopRequest()
    with stopped_by_signals(stop):
        stop.request()  # as q in the window does
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            pytest.fail("what the key began was interrupted")


def test_the_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopped_by_signals(StopRequest()):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    signal.signal(number, signal.SIG_IGN)
    try:
        stop = StopRequest()
        with stopped_by_signals(stop):
            os.kill(os.getpid(), number)
            assert not stop.requested
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_signals_are_answered_from_when_the_run_heeds_the_request() -> None:
    before = signal.getsignal(signal.SIGINT)
    stop = SignalStop()
    assert signal.getsignal(signal.SIGINT) is before
    with stop.active():
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.requested
    assert signal.getsignal(signal.SIGINT) is before


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
        "import os, signal\nfrom ssd_edge.cli.signals import one_stop\n"
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


@pytest.mark.parametrize(
    ("arguments", "stream"),
    [(["--help"], "stdout"), (["data", "check", "--help"], "stdout"), (["runs"], "stderr")],
)
def test_a_reader_that_has_gone_ends_the_command_as_the_shell_expects(
    arguments: list[str], stream: str, tmp_path: Path
) -> None:
    """Rich and typer meet the broken pipe themselves and leave with 1."""
    reading, writing = os.pipe()
    os.close(reading)
    other = "stderr" if stream == "stdout" else "stdout"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ssd_edge", *arguments],
            cwd=tmp_path,
            check=False,
            timeout=60,
            **{stream: writing, other: subprocess.PIPE},
        )
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert (done.stderr or done.stdout or b"") == b""
