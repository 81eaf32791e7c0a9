"""Where the ``ssd-edge`` process begins: signals are answered politely from the first import on."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from ssd_edge.cli.signals import ENDING, leave_closed_terminal, note_terminals
from ssd_edge.core.shutdown import begin_closing, is_closing

_Handler = Callable[[int, FrameType | None], object] | signal.Handlers
_INSISTS_S = 0.3  # between looks whether a signal was swallowed
_stops: list[BaseException] = []  # what a signal raised
_SPINS = "300"  # some 10 microseconds; GNU's OpenMP has 300,000 by default


def main() -> None:
    """Run the command line; Ctrl-C exits 130, SIGTERM 143, SIGHUP 129, after everything half-written is removed."""
    try:
        _run()
    except SystemExit as leaving:
        end_process(leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None))
        raise


def end_process(code: int) -> None:
    """End the process at once where a thread was abandoned, instead of by the exit handlers of its library."""
    from ssd_edge.core.interruptible import is_work_abandoned

    if not is_work_abandoned():
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _run() -> None:
    atexit.register(_let_python_end)
    try:
        note_terminals()
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
                signal.signal(number, _leave)
        signal.signal(signal.SIGALRM, _insist)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)
        _spin_briefly()
        _silence_opencv()
        from ssd_edge.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.stderr.write("ssd-edge: stopped.\n")
        sys.exit(130)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        begin_closing()
        _exchange({_leave: _end, _interrupt: _end})


def _spin_briefly() -> None:
    """Let PyTorch's threads fall asleep soon while they wait for one another; they look for this once, on import.

    By default they spin for milliseconds. Where another program has the core of the thread that is waited for, that is
    the time it needs: two trainings on two cores took many times as long as one. What the user has set stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def _silence_opencv() -> None:
    """Keep OpenCV and FFmpeg from writing to stderr what errors say in one sentence; the user's own level stands."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind as after an error, so that temporary files go."""
    if number == signal.SIGHUP:
        leave_closed_terminal()
    if not is_closing():
        begin_closing()
        _raise(SystemExit(128 + number))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Unwind; a key that is hit several times does so once."""
    if not is_closing():
        begin_closing()
        _raise(KeyboardInterrupt())


def _raise(stop: BaseException) -> None:
    _stops[:] = [stop]
    signal.setitimer(signal.ITIMER_REAL, _INSISTS_S, _INSISTS_S)
    raise stop


def _insist(_number: int, _frame: FrameType | None) -> None:
    """Raise once more what nobody unwinds from: imports of NumPy and others swallow what is raised inside them."""
    link = sys.exc_info()[1]
    while link is not None:
        if isinstance(link, KeyboardInterrupt | SystemExit):
            return  # it is unwinding: what closes files must not be torn
        link = link.__context__
    if _stops:
        raise type(_stops[0])(*_stops[0].args)


def _end(number: int, frame: FrameType | None) -> None:
    """Leave at once if Python's own end takes long: all is closed, and a traceback would tell nobody anything."""
    if not is_closing():
        os._exit(128 + number)


def _let_python_end() -> None:
    """Keep the exit code: registered first, this runs last, and then Python would let a signal kill the process."""
    _exchange({_end: signal.SIG_IGN})


def _exchange(handlers: dict[_Handler, _Handler]) -> None:
    for number in ENDING:
        handler = signal.getsignal(number)
        if callable(handler) and handler in handlers:
            signal.signal(number, handlers[handler])
