"""A contestant in a process of its own: started, asked, and stopped by a signal while another is measured.

Its own process keeps the thread pools and memory of one library out of the times of another, and shows what starting
it takes and how much memory it needs. A stopped process uses no processor: threads that would spin after their last
inference wait until it is their turn again.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import IO, Any, cast

from ssd_edge.benchmarking.task import Task
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.text_parsers import parse_json

_PATIENCE_S = 10.0
_SHOWN = 400  # signs of what a worker wrote to stderr


class WorkerError(SsdEdgeError):
    """A contestant that cannot be run here, or that ended while it was measured."""


class Worker:
    """One contestant's process. It is asked by :meth:`ask` and stands still in between.

    Args:
        task: what it runs.
        module: that reads tasks on its stdin, for ``python -m``.

    Attributes:
        cold_start_s: from starting the process to its first detections.
        opened: what it said when it was ready.

    Raises:
        WorkerError: it did not get ready; the reason is what it said.
    """

    def __init__(self, task: Task, module: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        began = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - this very Python, no shell
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        self._sent = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        try:
            self.opened = self._exchange(task.to_json())
            self.cold_start_s = time.monotonic() - began
            self._pause()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, action: str, **values: Any) -> Any:
        """Let it run, and return what it answers.

        Raises:
            WorkerError: it has ended, or says why it cannot do that.
        """
        self._resume()
        try:
            return self._exchange(json.dumps({"do": action, **values}))
        finally:
            self._pause()

    def time(self, first: int, calls: int, untimed: int) -> list[float]:
        """Return the milliseconds of so many images, from number ``first`` on, after some that are not timed."""
        return cast("list[float]", self.ask("time", first=first, calls=calls, untimed=untimed))

    def close(self) -> None:
        """End it, by force where it does not end by itself."""
        self._resume()
        for pipe in (self._sent, self._answers):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, line: str) -> Any:
        try:
            self._sent.write(line.encode() + b"\n")
            self._sent.flush()
            answer = self._answers.readline()
        except (BrokenPipeError, ValueError):
            answer = b""
        if not answer:
            raise WorkerError("the worker process ended", got=self._last_words())
        found = parse_json(answer)
        if "error" in found:
            raise WorkerError(str(found["error"]))
        return found["answer"]

    def _last_words(self) -> str:
        try:
            code = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            return "no answer"
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"exit code {code}" + (f", {text[-1][:_SHOWN]}" if text else "")

    def _pause(self) -> None:
        self._signal("SIGSTOP")

    def _resume(self) -> None:
        self._signal("SIGCONT")

    def _signal(self, name: str) -> None:
        if hasattr(signal, name) and self._process.poll() is None:
            os.kill(self._process.pid, getattr(signal, name))
