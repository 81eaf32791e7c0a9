from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.processes import running

# A process with two children, one of them in a session of its own; says who they are, and waits.
FAMILY = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]
print(*(child.pid for child in children), flush=True)
time.sleep(60)
"""
# A test whose child must not ignore Ctrl-C.
INNER = """
import subprocess, sys
from tests import conftest
TELL = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
def test_inner():
    assert subprocess.check_output([sys.executable, "-c", TELL], text=True) == "False\\n"
"""
ROOT = Path(__file__).parents[1]


def has_ended(number: int) -> bool:
    """A process that nobody has waited for yet has ended too."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_test_that_fails_leaves_no_process_behind() -> None:
    family = []
    with pytest.raises(ZeroDivisionError), running([sys.executable, "-c", FAMILY], stdout=PIPE) as process:
        assert process.stdout is not None
        family = [process.pid, *map(int, process.stdout.readline().split())]
        assert not any(map(has_ended, family))
        _ = 1 // 0
    deadline = time.monotonic() + 10
    while not all(map(has_ended, family)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL


def test_a_process_that_hangs_is_ended() -> None:
    with running([sys.executable, "-c", "import time; time.sleep(60)"], limit_s=0.1, stdout=PIPE) as process:
        assert process.communicate()[0] == ""
    assert process.returncode == -signal.SIGKILL


def test_a_process_that_ended_keeps_its_exit_code() -> None:
    with running([sys.executable, "-c", "print(7); raise SystemExit(3)"], stdout=PIPE) as process:
        assert process.communicate()[0] == "7\n"
    assert process.returncode == 3


def test_children_of_tests_in_the_background_heed_ctrl_c(tmp_path: Path) -> None:
    """A script that starts the tests with "&" has them ignore SIGINT from the start."""
    inner = tmp_path / "test_inner.py"
    inner.write_text(INNER)
    command = [sys.executable, "-m", "pytest", "-q", str(inner)]
    done = subprocess.run(
        command,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
