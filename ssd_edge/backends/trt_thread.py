"""The thread that owns the GPU: it opens the engine, runs what others hand over, and gives everything back."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.cuda import Cuda
from ssd_edge.backends.trt_engine import TrtEngine
from ssd_edge.backends.trt_failure import settled
from ssd_edge.backends.trt_slot import Slot, Streams
from ssd_edge.core.errors import ArtefactError, DeviceError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.manifest import EngineManifest

_log = logging.getLogger(__name__)
SLOTS = 2
_PATIENCE_S = 3.0
# How soon a second batch is queued behind one that runs alone.
_POLL_S = 0.0001

Job = tuple[UInt8Array, "Future[RawOutputs]"]


class Session:
    """CUDA, the engine and the ring, all of one thread.

    Raises:
        SsdEdgeError: from opening any of them; what was opened before is given back.
    """

    def __init__(self, path: Path, manifest: EngineManifest) -> None:
        self.cuda = Cuda()
        self._slots: list[Slot] = []
        self._flight: deque[tuple[Slot, Future[RawOutputs]]] = deque()
        self.engine: TrtEngine | None = None
        failure: SsdEdgeError | None = None
        try:
            self.limits = self._open(path, manifest)
        except Exception as error:  # noqa: BLE001 - raised again below, once all is given back
            failure = settled(error, path)
        if failure is not None:
            self.close()
            raise failure
        self._free = deque(self._slots)

    def serve(self, jobs: queue.SimpleQueue[Job | None]) -> None:
        """Run jobs until None comes, then what is in flight."""
        with self.cuda.errors("the GPU failed while it ran the engine"):
            open_ = True
            while open_ or self._flight:
                found, job = self._next(jobs) if open_ else (False, None)
                if job is not None:
                    self._begin(*job)
                elif found:
                    open_ = False
                else:
                    self._finish_oldest()

    def fail(self, error: SsdEdgeError) -> None:
        """Give the error to all who wait."""
        for _, waiting in self._flight:
            waiting.set_exception(error)
        self._flight.clear()

    def close(self) -> None:
        """Give back graphs, contexts, engine, runtime, memory and the CUDA context, in this order."""
        failed = [text for slot in self._slots for text in slot.close()]
        self._slots, self._free, self._flight = [], deque(), deque()
        if self.engine is not None:
            self.engine.close()
        self.engine = None
        failed += self.cuda.close()
        for text in failed:
            _log.warning("the GPU did not take back %s", text)

    def _open(self, path: Path, manifest: EngineManifest) -> tuple[int, int]:
        with self.cuda.errors(f"{path} cannot be opened"):
            self.engine = self._loaded(path, manifest)
            streams = Streams(self.cuda.stream(), self.cuda.stream(), self.cuda.stream())
            for _ in range(SLOTS):
                self._slots.append(Slot(self.cuda, self.engine, streams))
            return self.engine.limits

    def _loaded(self, path: Path, manifest: EngineManifest) -> TrtEngine:
        try:
            return TrtEngine(path, manifest)
        except ArtefactError:
            self.cuda.synchronize()  # where the GPU is lost, that is what went wrong, and not the file
            raise

    def _next(self, jobs: queue.SimpleQueue[Job | None]) -> tuple[bool, Job | None]:
        """Return (True, job), (True, None) at the end, or (False, None) where the oldest batch is to be finished."""
        if not self._flight:
            return True, jobs.get()
        if not self._free:
            return False, None
        while not self._flight[0][0].is_done:
            try:
                return True, jobs.get(timeout=_POLL_S)
            except queue.Empty:
                continue
        return False, None

    def _begin(self, batch: UInt8Array, waiting: Future[RawOutputs]) -> None:
        slot = self._free.popleft()
        self._flight.append((slot, waiting))
        for entry in self._slots:  # all of them now: later frames shall allocate nothing
            entry.prepare(len(batch))
        slot.begin(batch)

    def _finish_oldest(self) -> None:
        slot, waiting = self._flight[0]
        outputs = slot.outputs()
        self._flight.popleft()
        self._free.append(slot)
        waiting.set_result(outputs)


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
        opened: Future[tuple[int, int]] = Future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="ssd-edge-gpu", daemon=True)
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
        with self._lock:
            self._error = self._error or DeviceError(f"{self._path} is closed", do="Open it again.")
            self._jobs.put(None)
        try:
            self._thread.join()
        except (KeyboardInterrupt, SystemExit):
            self._thread.join(_PATIENCE_S)  # a process that ends while this thread has the GPU is aborted by pycuda
            raise

    def _work(self, opened: Future[tuple[int, int]]) -> None:
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
