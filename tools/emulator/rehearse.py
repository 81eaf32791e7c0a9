"""Runs a function, or ``ssd-edge``, in a process of its own that sees the emulated GPU and a stand-in of TensorRT."""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tools.emulator.surroundings import READY, surroundings

PRODUCT = str(Path(sys.executable).with_name("ssd-edge"))
COMMAND = (sys.executable, "-m", "tools.emulator.rehearse")
STUCK_S = 150  # a function that has not ended by then never will: the stacks of its threads are its error
NOT_BUILT = "the emulated CUDA driver is not built: make setup (Linux, c++)"
needs_emulator = pytest.mark.skipif(not READY, reason=NOT_BUILT)


def rehearse(function: str, release: str = "10.3", *, env: dict[str, str] | None = None, **arguments: Any) -> Any:
    """Call ``module:function(**arguments)`` there and return (its result, the driver's report).

    Arguments and result go through JSON.
    """
    done = _start([*COMMAND, function, json.dumps(arguments)], release, env)
    assert done.returncode == 0, done.stderr[-8000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["result"], answer["report"]


def command_line(
    *arguments: str,
    release: str = "10.3",
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    plant: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run ``ssd-edge`` there; the report is written to where SSD_EDGE_EMU_REPORT says.

    ``plant`` is a ``module:function`` that is called first, to break the product.
    """
    return _start([*(_spoilt(plant) if plant else [PRODUCT]), *arguments], release, env, cwd)


def _spoilt(plant: str) -> list[str]:
    module, _, function = plant.partition(":")
    code = f"import {module}; {module}.{function}(); from ssd_edge.cli.main import main; main()"
    return [sys.executable, "-c", code]


def _start(
    command: list[str], release: str, env: dict[str, str] | None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = surroundings(release, env)
    latest = 2 * STUCK_S
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=latest, check=False
    )


def report() -> dict[str, Any]:
    text = ctypes.create_string_buffer(1 << 16)
    ctypes.CDLL("libcuda.so.1").emu_report(text, len(text))
    found: dict[str, Any] = json.loads(text.value)
    return found


def inject(what: str, value: int) -> None:
    ctypes.CDLL("libcuda.so.1").emu_inject(what.encode(), ctypes.c_long(value))


def _main(called: str, arguments: str) -> None:
    faulthandler.dump_traceback_later(STUCK_S, exit=True)
    name, _, function = called.partition(":")
    result = getattr(importlib.import_module(name), function)(**json.loads(arguments))
    time.sleep(0.1)  # a thread that Python has joined ends a moment later
    print("\n" + json.dumps({"result": result, "report": report()}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
