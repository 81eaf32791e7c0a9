"""The thread that owns the GPU: it opens the engine, runs what others hand over, and gives everything back."""

from __future__ import annotations

import atexit
import queue
import threading
from concurrent.futures import Future
from pathlib import Path

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.trt_failure import settled
from ssd_edge.backends.trt_session import Job, Session
from ssd_edge.core.errors import DeviceError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.manifest import EngineManifest

_PATIENCE_S = 3.0


class GpuThread:
    """Starts the thread and hands batches over.

    Raises:
        SsdEdgeError: the session cannot be opened.
    """

    def __init__(self, path: Path, manifest: EngineManifest) -> None:
        self._path, self._manifest = path, manifest
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._error: SsdEdgeError | None = None
        self._gone = threading.Event()
        opened: Future[tuple[int, int]] = Future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="ssd-edge-gpu", daemon=True)
        atexit.register(self._at_exit)
        self._thread.start()
        try:
            self.limits = opened.result()
        except BaseException:
            self.close()
            raise

    def run(self, batch: UInt8Array) -> RawOutputs:
        """Run a batch and wait for it; any thread may call."""
        waiting: Future[RawOutputs] = Future()
        with self._lock:
            if self._error is not None:
                raise self._error
            self._jobs.put((batch, waiting))
        return waiting.result()

    def close(self) -> None:
        """Finish what is in flight, give everything back and end the thread; a second call does nothing."""
        self._ask_to_end()
        try:
            self._gone.wait()
        except (KeyboardInterrupt, SystemExit):
            self._gone.wait(_PATIENCE_S)
            raise
        # Only now: until Python 3.12 a join that a signal interrupts takes the thread for ended from then on.
        self._thread.join()
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        """Wait where nobody has closed, or a signal came in between: ending over a thread in pycuda crashes Python."""
        self._ask_to_end()
        self._gone.wait(_PATIENCE_S)

    def _ask_to_end(self) -> None:
        with self._lock:
            self._error = self._error or DeviceError(f"{self._path} is closed", do="Open it again.")
            self._jobs.put(None)

    def _work(self, opened: Future[tuple[int, int]]) -> None:
        try:
            self._own(opened)
        finally:
            self._gone.set()

    def _own(self, opened: Future[tuple[int, int]]) -> None:
        """Have the GPU from here to the end."""
        try:
            session = Session(self._path, self._manifest)
        except Exception as error:  # noqa: BLE001 - for the thread that waits for it
            opened.set_exception(settled(error, self._path))
            return
        opened.set_result(session.limits)
        failure: SsdEdgeError = DeviceError(f"{self._path} is closed")
        try:
            session.serve(self._jobs)
        except Exception as error:  # noqa: BLE001 - for those who wait, once all is given back
            failure = settled(error, self._path)
        finally:
            self._refuse(session, failure)
            session.close()

    def _refuse(self, session: Session, error: SsdEdgeError) -> None:
        """Give the error to all who wait and all who will come; where the thread was closed nobody waits."""
        with self._lock:
            self._error = self._error or error
        session.fail(error)
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None:
                job[1].set_exception(error)
