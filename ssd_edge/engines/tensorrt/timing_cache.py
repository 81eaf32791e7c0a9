"""Timing cache: TensorRT's kernel timings on this GPU, in a file that makes later builds much faster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd_edge.backends.tensorrt.module import Listener
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside

if TYPE_CHECKING:
    import tensorrt


class TimingCache:
    """The cache of a build.

    Args:
        path: its file; it need not be there.
        listener: gets TensorRT's messages about it.
        report: called where the file cannot be used or written, which costs time and nothing else.
    """

    def __init__(self, path: Path, listener: Listener, report: Callable[[str], None]) -> None:
        self._path, self._listener, self._report = path, listener, report

    def load(self, config: tensorrt.IBuilderConfig) -> None:
        """Let the build use what was measured.

        What another device measured TensorRT does not take; of what another release measured it takes nothing, and says
        so in a warning.
        """
        kept = self._read()
        before = len(self._listener.warnings)
        taken = self._taken(config, kept)
        ignored = any("timing cache" in message.lower() for message in self._listener.warnings[before:])
        if kept and (ignored or not taken):
            self._report(f"{self._path} was measured by another release or on another GPU: kernels are timed anew")
        if not taken:
            self._taken(config, b"")

    def keep(self, config: tensorrt.IBuilderConfig) -> None:
        """Write what is measured now, in the old file's place."""
        cache: Any = config.get_timing_cache()  # the stubs know no None
        measured = None if cache is None else cache.serialize()
        if measured is None:  # also where the GPU is lost
            return
        try:
            with written_beside(self._path) as partial:
                partial.write_bytes(memoryview(measured))
        except InputError as error:
            self._report(f"the next build times its kernels anew: {error}")

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes() if self._path.is_file() else b""
        except OSError as error:
            self._report(f"{self._path} cannot be read ({error.strerror}): kernels are timed anew")
            return b""

    def _taken(self, config: tensorrt.IBuilderConfig, content: bytes) -> bool:
        """Give a cache to the build; return whether TensorRT accepted it."""
        cache = config.create_timing_cache(content)  # None where the content is none
        return cache is not None and bool(config.set_timing_cache(cache, False))
