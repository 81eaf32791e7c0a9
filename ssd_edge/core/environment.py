"""Environment variables that other packages look for once, set for as long as that takes and no longer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables of the environment inside the block; those that the user has set stand."""
    mine = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            os.environ.pop(name, None)


@contextmanager
def no_telemetry() -> Iterator[None]:
    """Import ONNX Runtime or OpenVINO inside the block, or what brings one of its own (onnxsim): nothing is recorded.

    ONNX Runtime 1.32 writes a database of events into the user's cache and a file into TMPDIR. OpenVINO 2026.4 imports
    its model converter, which gives the user a number in ``~/intel`` and reports the import to Google Analytics. Both
    decide so on import: to switch it off afterwards is too late.
    """
    with environment(ORT_DISABLE_TELEMETRY="1"), _without(_CONVERTER):
        yield


_CONVERTER = "openvino.tools.ovc"  # OpenVINO does without, and is imported in a third of the time


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Let a module be missing inside the block, unless it is imported already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # Python's own sign for it
    try:
        yield
    finally:
        sys.modules.pop(module, None)


@contextmanager
def unchanged_environment() -> Iterator[None]:
    """Put all variables of the environment back after the block as they were before it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            os.environ.pop(name, None)
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
