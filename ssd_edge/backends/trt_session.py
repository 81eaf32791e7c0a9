"""Everything of one engine on the GPU: CUDA, the engine and the ring of batches in flight, all of one thread."""

from __future__ import annotations

import logging
import queue
from collections import deque
from concurrent.futures import Future
from pathlib import Path

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.cuda import Cuda
from ssd_edge.backends.trt_engine import TrtEngine
from ssd_edge.backends.trt_failure import settled
from ssd_edge.backends.trt_slot import Slot, Streams
from ssd_edge.core.errors import ArtefactError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.manifest import EngineManifest

_log = logging.getLogger(__name__)
SLOTS = 2
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
        self.cuda.settle()
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
        if not slot.is_prepared(len(batch)):
            self._prepare(len(batch))
        slot.begin(batch)

    def _prepare(self, size: int) -> None:
        """Make the plans of a new batch size: of all slots now, as later frames shall allocate nothing."""
        while len(self._flight) > 1:  # a plan is tried out in its slot's memory, which a batch in flight still uses
            self._finish_oldest()
        for entry in self._slots:
            entry.prepare(size)

    def _finish_oldest(self) -> None:
        slot, waiting = self._flight[0]
        outputs = slot.outputs()
        self._flight.popleft()
        self._free.append(slot)
        waiting.set_result(outputs)
