from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from ssd_edge.cli import main
from tests.processes import running

ROOT = Path(__file__).parents[2]
# Stands in for a slow import: says that it began, and waits.
SLOW_IMPORT = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "ssd_edge.cli.app":
            print("importing", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
from ssd_edge.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "ssd-edge: stopped.\n"), (signal.SIGTERM, 143, ""), (signal.SIGHUP, 129, "")],
)
def test_signals_during_the_imports_end_politely(number: signal.Signals, code: int, said: str) -> None:
    with running([sys.executable, "-c", SLOW_IMPORT], cwd=ROOT, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (code, said)


# Stands in for a command that prints more than a pipe holds, or little, which is written when the process ends.
PRINTING = """
import time
import ssd_edge.cli.models
def speak():
    for number in range({lines}):
        print("line", number, flush={flush})
    time.sleep({pause})
ssd_edge.cli.models.models = speak
from ssd_edge.cli.main import main
main()
"""


@pytest.mark.parametrize("seed", range(6))
def test_a_reader_that_goes_ends_the_command_without_a_word(seed: int) -> None:
    draw = random.Random(seed)
    code = PRINTING.format(lines=draw.choice([1, 3, 50_000]), flush=draw.choice([True, False]), pause=0.5)
    with running([sys.executable, "-c", code, "models"], cwd=ROOT, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=30)
    assert (process.returncode, errors) == (141, "")


def test_json_lines_that_nobody_reads_end_without_a_word() -> None:
    code = PRINTING.replace("for number in range({lines}):", "for number in range(9999):").replace(
        'print("line", number, flush={flush})', "sink.write(frame_at(0.0), Detections.empty())"
    )
    code = code.replace("    for", "    sink = JsonLinesSink(None)\n    for", 1).format(pause=0)
    imports = (
        "from ssd_edge.core.detections import Detections\nfrom tests.streaming.films import frame_at\n"
        "from ssd_edge.streaming.sinks.json_lines import JsonLinesSink\n"
    )
    with running([sys.executable, "-c", imports + code, "models"], cwd=ROOT, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('{"format"')
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=30)
    assert (process.returncode, errors) == (141, "")


def test_a_reader_that_stays_sees_all() -> None:
    code = PRINTING.format(lines=50_000, flush=False, pause=0)
    done = subprocess.run([sys.executable, "-c", code, "models"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("line 49999\n")


# Stands in for an import that swallows what is raised inside it, as NumPy's do, before work that closes slowly.
SWALLOWING = """
import sys, time, types
app = types.ModuleType("ssd_edge.cli.app")
def work():
    try:
        print("importing", flush=True)
        time.sleep(30)
    except BaseException:
        pass
    try:
        print("working", flush=True)
        time.sleep(30)
    finally:
        for _ in range(10):
            time.sleep(0.1)
        print("closed", flush=True)
app.app = work
sys.modules["ssd_edge.cli.app"] = app
from ssd_edge.cli.main import main
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_an_import_swallows_is_heeded_all_the_same(number: signal.Signals, code: int) -> None:
    with running([sys.executable, "-c", SWALLOWING], cwd=ROOT, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        began = time.monotonic()
        time.sleep(random.Random(int(number)).random() * 0.2)
        process.send_signal(number)
        said, errors = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in errors) == (code, False)
    assert said == "working\nclosed\n"  # what closes is not torn
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_terminal_that_is_closed_ends_a_command_unless_nohup_says_otherwise(is_ignored: bool) -> None:
    code = SLOW_IMPORT.replace("time.sleep(30)", "time.sleep(3)\n            sys.exit(7)")
    if is_ignored:
        code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + code
    mine, theirs = os.openpty()
    with running([sys.executable, "-c", code], cwd=ROOT, stdout=theirs, stderr=theirs, stdin=theirs) as process:
        os.close(theirs)
        with os.fdopen(mine, "rb", buffering=0, closefd=False) as terminal:
            assert terminal.readline() == b"importing\r\n"
        os.close(mine)  # hangs up; the signal goes to who owns the terminal, here sent by hand
        process.send_signal(signal.SIGHUP)
        process.wait(timeout=20)
    assert process.returncode == (7 if is_ignored else 129)


# Stands in for a command that was stopped, and that leaves something to end which takes its time.
SLOW_END = """
import atexit, sys, time, types
def end():
    print("ending", flush=True)
    time.sleep(30)
def run():
    atexit.register(end)
    sys.exit(130)
app = types.ModuleType("ssd_edge.cli.app")
app.app = run
sys.modules["ssd_edge.cli.app"] = app
from ssd_edge.core import shutdown
shutdown.PATIENCE_S = 0.1
from ssd_edge.cli.main import main
main()
"""


def test_ctrl_c_while_the_process_ends_leaves_no_traceback() -> None:
    with running([sys.executable, "-c", SLOW_END], cwd=ROOT, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ending\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")


# Stands in for the application: says how OpenMP's threads are told to wait, and whether PyTorch is there already.
SAY_HOW_TO_WAIT = """
import os, sys, types
app = types.ModuleType("ssd_edge.cli.app")
app.app = lambda: print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
sys.modules["ssd_edge.cli.app"] = app
from ssd_edge.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("own", "spins"), [({}, "300"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")]
)
def test_threads_that_wait_leave_the_core_unless_told_otherwise(own: dict[str, str], spins: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **own}
    done = subprocess.run(
        [sys.executable, "-c", SAY_HOW_TO_WAIT], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{spins} False\n"


def test_a_traceback_shows_no_password_and_obeys_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("rtsp://admin:s3cret@camera/live \x1b]0;x\x07\x9b")
    main._show_traceback(RuntimeError, error, None)
    shown = capsys.readouterr().err
    assert "RuntimeError: rtsp://" in shown
    assert "s3cret" not in shown
    assert not set(shown) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.parametrize(("raised", "shown"), [("SystemExit(143)", False), ("ValueError('odd')", True)])
def test_a_stop_that_a_callback_swallows_leaves_no_traceback(raised: str, shown: bool) -> None:
    """As Python's own locks of modules do, whose callbacks run while something is imported."""
    script = f"""
import sys, weakref
from ssd_edge.cli import main
sys.unraisablehook = main._report_unraisable
class Thing: pass
def callback(_):
    raise {raised}
thing = Thing()
kept = weakref.ref(thing, callback)
del thing
print("went on")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "went on\n"
    assert ("Exception ignored" in done.stderr) == shown


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)])
def test_a_stop_that_got_lost_is_raised_again_and_one_that_unwinds_is_not(
    monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    """As an import that fails on it does: the stop is what the error came from."""
    monkeypatch.setattr(main, "_stops", [stop])
    with pytest.raises(type(stop)) as again:
        main._insist(signal.SIGALRM, None)
    assert again.value.args == stop.args
    try:
        try:
            raise stop
        finally:
            raise ImportError("initialization failed")
    except ImportError:
        main._insist(signal.SIGALRM, None)
    monkeypatch.setattr(main, "_stops", [])
    main._insist(signal.SIGALRM, None)
