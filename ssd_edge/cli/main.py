"""Entry point of the ``ssd-edge`` process; signals are handled from the first import on."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType

from ssd_edge.cli.signals import ENDING, leave_closed_terminal, note_terminals
from ssd_edge.core.native_lines import keep_python_apart
from ssd_edge.core.shutdown import begin_closing, is_closing

_Handler = Callable[[int, FrameType | None], object] | signal.Handlers
_INSISTS_S = 0.3  # between looks whether a signal was swallowed
_stops: list[BaseException] = []  # what a signal raised
_SPINS = "300"  # some 10 microseconds; GNU's OpenMP has 300,000 by default


def main() -> None:
    """Run the command line. After Ctrl-C (exit 130), SIGTERM (143) or SIGHUP (129), partial files are removed first."""
    try:
        _run()
    except SystemExit as leaving:
        end_process(leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None))
        raise


def end_process(code: int) -> None:
    """End the process at once if a thread was abandoned: exit handlers of its library could block."""
    from ssd_edge.core.interruptible import is_work_abandoned

    if not is_work_abandoned():
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _run() -> None:
    atexit.register(_let_python_end)
    try:
        if "OPENCV_LOG_LEVEL" not in os.environ:  # who sets it wants to see what libraries say
            keep_python_apart()
        note_terminals()
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
                signal.signal(number, _leave)
        if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:  # "reload" to a service that is only beginning
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, _insist)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)
        _spin_briefly()
        _silence_opencv()
        sys.unraisablehook = _report_unraisable
        sys.excepthook = _show_traceback  # before typer keeps it as the one to call
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
    """Let PyTorch's threads sleep soon while they wait for each other; OpenMP reads the setting once, on import.

    By default they spin for milliseconds, which takes the core from the thread that they wait for: two trainings on
    two cores took many times as long as one. A setting of the user is kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def _silence_opencv() -> None:
    """Silence OpenCV and FFmpeg on stderr, as errors are reported by ssd-edge; a level that the user set is kept."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback (``--debug``) as other text is printed: without passwords and without what a terminal obeys."""
    import traceback  # late: a Ctrl-C before the handlers are set would be shown as one

    from ssd_edge.core.secrets import hide_in_text
    from ssd_edge.core.shell import printable

    sys.stderr.write(printable(hide_in_text("".join(traceback.format_exception(kind, error, trace)))))


def _report_unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Report what a callback of Python swallowed, but not a stop: that is raised again until it unwinds."""
    if not isinstance(lost.exc_value, KeyboardInterrupt | SystemExit):
        sys.__unraisablehook__(lost)


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind as after an error, so that temporary files are removed."""
    if number == signal.SIGHUP:
        leave_closed_terminal()
    if not is_closing():
        begin_closing()
        _raise(SystemExit(128 + number))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Unwind once, even if Ctrl-C is pressed several times."""
    if not is_closing():
        begin_closing()
        _raise(KeyboardInterrupt())


def _raise(stop: BaseException) -> None:
    _stops[:] = [stop]
    signal.setitimer(signal.ITIMER_REAL, _INSISTS_S, _INSISTS_S)
    raise stop


def _insist(_number: int, _frame: FrameType | None) -> None:
    """Raise a stop again if it got lost: imports of NumPy and others swallow exceptions raised inside them."""
    link = sys.exc_info()[1]
    while link is not None:
        if isinstance(link, KeyboardInterrupt | SystemExit):
            return  # it is unwinding: closing of files must not be interrupted
        link = link.__context__
    if _stops:
        raise type(_stops[0])(*_stops[0].args)


def _end(number: int, frame: FrameType | None) -> None:
    """Exit at once if Python's own shutdown takes long: everything is closed, and a traceback would not help."""
    if not is_closing():
        os._exit(128 + number)


def _let_python_end() -> None:
    """Ignore signals at the very end to keep the exit code; registered first, this runs last."""
    _exchange({_end: signal.SIG_IGN})


def _exchange(handlers: dict[_Handler, _Handler]) -> None:
    for number in ENDING:
        handler = signal.getsignal(number)
        if callable(handler) and handler in handlers:
            signal.signal(number, handlers[handler])
