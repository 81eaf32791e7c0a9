"""Folders that nobody may enter, root neither: it lays down the two capabilities that let it in everywhere."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_VERSION = 0x20080522  # of capget and capset
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_Words = ctypes.c_uint32 * 6


@contextmanager
def locked(*folders: Path, mode: int = 0) -> Iterator[None]:
    """Give folders a mode in which this process has no way in, for the time of the block."""
    before = {folder: folder.stat().st_mode for folder in folders}
    effective = _effective()
    for folder in folders:
        folder.chmod(mode)
    try:
        _take(effective & ~_OVERRIDES)
        yield
    finally:
        _take(effective)
        for folder, old in before.items():
            folder.chmod(old)


def _effective() -> int:
    return _call("capget", _Words())[0]


def _take(effective: int) -> None:
    words = _call("capget", _Words())
    words[0] = effective
    _call("capset", words)


def _call(name: str, words: ctypes.Array[ctypes.c_uint32]) -> ctypes.Array[ctypes.c_uint32]:
    if not sys.platform.startswith("linux"):
        pytest.skip("capabilities are Linux's")
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(header, words) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return words
