"""Runs a function in a process of its own that sees the emulated GPU and a stand-in of TensorRT."""

from __future__ import annotations

import ctypes
import importlib
import importlib.machinery
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BUILT = Path(sys.prefix) / "emulator"
COMMAND = (sys.executable, "-m", "tests.emulator.rehearse")
READY = (BUILT / "lib" / "libcuda.so.1").is_file() and (BUILT / "packages" / "pycuda").is_dir()
needs_emulator = pytest.mark.skipif(not READY, reason="the emulated CUDA driver is not built: make setup (Linux, c++)")


def rehearse(function: str, release: str = "10.3", *, env: dict[str, str] | None = None, **arguments: Any) -> Any:
    """Call ``module:function(**arguments)`` there and return (its result, the driver's report).

    Arguments and result go through JSON.
    """
    done = start(["rehearse", release, function, json.dumps(arguments)], env)
    assert done.returncode == 0, done.stderr[-4000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["result"], answer["report"]


def command_line(
    *arguments: str, release: str = "10.3", env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``ssd-edge`` there; the report is written to where SSD_EDGE_EMU_REPORT says."""
    return start(["cli", release, *arguments], env, cwd)


def start(
    arguments: list[str], env: dict[str, str] | None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, env=surroundings(env), cwd=cwd, capture_output=True, text=True, timeout=180, check=False
    )


def surroundings(env: dict[str, str] | None) -> dict[str, str]:
    """Return the variables by which a process finds the emulated driver and pycuda."""
    paths = [str(ROOT), str(BUILT / "packages")]
    return {
        **os.environ, "LD_LIBRARY_PATH": str(BUILT / "lib"), "PYTHONPATH": os.pathsep.join(paths), **(env or {}),
    }  # fmt: skip


def report() -> dict[str, Any]:
    text = ctypes.create_string_buffer(1 << 16)
    ctypes.CDLL("libcuda.so.1").emu_report(text, len(text))
    found: dict[str, Any] = json.loads(text.value)
    return found


def inject(what: str, value: int) -> None:
    ctypes.CDLL("libcuda.so.1").emu_inject(what.encode(), ctypes.c_long(value))


def _main(mode: str, release: str, *rest: str) -> None:
    from tests.emulator.standin_runtime import make_module

    module = make_module(release)
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, loader=None)  # as an installed module has
    sys.modules[module.__name__] = module
    if mode == "cli":
        from ssd_edge.cli.main import main

        sys.argv = ["ssd-edge", *rest]
        main()
        return
    name, _, function = rest[0].partition(":")
    result = getattr(importlib.import_module(name), function)(**json.loads(rest[1]))
    time.sleep(0.1)  # a thread that Python has joined ends a moment later
    print("\n" + json.dumps({"result": result, "report": report()}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
