"""An engine at work on the GPU: a ring of slots, the memory of one batch in flight each, and the loop over jobs."""

from __future__ import annotations

import queue
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.cuda import CaptureError, Cuda, Graph, Stream
from ssd_edge.backends.tensorrt.engine import CONTRACT, TYPES, TrtContext, TrtEngine, settled
from ssd_edge.core.errors import ArtifactError, DeviceError, SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest

Job = tuple[UInt8Array, "Future[RawOutputs]"]

SLOTS = 2
_POLL_S = 0.0001  # how soon a second batch is queued behind one that runs alone


@dataclass(frozen=True)
class Streams:
    """One queue a stage, so that the copies of one batch run beside the inference of another."""

    upload: Stream
    compute: Stream
    download: Stream


class Plan:
    """Inference of one batch size: a CUDA graph, or plain enqueue if no graph can be captured."""

    def __init__(self, context: TrtContext, graph: Graph | None) -> None:
        self._context, self._graph = context, graph

    def start(self, stream: Stream) -> None:
        """Put the inference on the stream.

        Raises:
            DeviceError: the driver or TensorRT refuses.
        """
        if self._graph is None:
            if not self._context.enqueue(stream.handle):
                raise DeviceError("TensorRT cannot run the engine", do="Run: ssd-edge doctor")
            return
        try:
            self._graph.launch(stream.handle)
        except CaptureError as error:
            raise DeviceError("the CUDA graph cannot be started", got=str(error), do="Run: ssd-edge doctor") from error

    def close(self) -> str:
        """Drop the graph before the context that it points into; return what failed, or nothing."""
        failed = ""
        try:
            if self._graph is not None:
                self._graph.close()
        except CaptureError as error:
            failed = str(error)
        self._context.close()
        return failed


class Slot:
    """Buffers for the engine's largest batch, allocated once, and a plan for each batch size that was met."""

    def __init__(self, cuda: Cuda, engine: TrtEngine, streams: Streams) -> None:
        self._cuda, self._engine, self._streams = cuda, engine, streams
        self._largest = engine.limits[1]
        self._buffers = {
            name: cuda.buffer(engine.shape(name, self._largest), TYPES[kind]) for name, kind in CONTRACT.items()
        }
        self._uploaded, self._computed, self._done = cuda.event(), cuda.event(), cuda.event()
        self._plans: dict[int, Plan] = {}
        self._count = 0

    def is_prepared(self, batch: int) -> bool:
        """Return whether a batch of this size can begin at once."""
        return batch in self._plans

    def prepare(self, batch: int) -> None:
        """Make the plan of a batch size: run it once, so that TensorRT has made all it needs, then capture it.

        It is run in the slot's own memory, so no batch may be in flight here.

        Raises:
            DeviceError: the driver or TensorRT refuses.
        """
        addresses = {name: buffer.device for name, buffer in self._buffers.items()}
        context = self._engine.context(batch, addresses)
        self._plans[batch] = Plan(context, None)
        stream = self._streams.compute
        self._buffers[INPUT_NAME].host[:batch] = 0
        self._cuda.upload(self._buffers[INPUT_NAME], batch, stream)
        if not context.enqueue(stream.handle):
            raise self._engine.failure("TensorRT cannot run the engine")
        stream.synchronize()
        self._plans[batch] = Plan(context, self._capture(context, batch))

    def begin(self, batch: UInt8Array) -> None:
        """Queue upload, inference and download of a batch; :meth:`outputs` has them once :attr:`is_done`."""
        self._count = len(batch)
        self._buffers[INPUT_NAME].host[: self._count] = batch
        streams = self._streams
        self._cuda.upload(self._buffers[INPUT_NAME], self._count, streams.upload)
        self._uploaded.record(streams.upload)
        streams.compute.wait_for_event(self._uploaded)
        self._plans[self._count].start(streams.compute)
        self._computed.record(streams.compute)
        streams.download.wait_for_event(self._computed)
        for name in OUTPUT_NAMES:
            self._cuda.download(self._buffers[name], self._count, streams.download)
        self._done.record(streams.download)

    @property
    def is_done(self) -> bool:
        """Whether the outputs have arrived."""
        return self._done.query()

    def outputs(self) -> RawOutputs:
        """Wait for the outputs and return a copy; the slot is free again."""
        self._done.synchronize()
        num, boxes, scores, classes = (self._buffers[name].host[: self._count].copy() for name in OUTPUT_NAMES)
        return RawOutputs(num, boxes, scores, classes)

    def close(self) -> list[str]:
        """Drop the plans; return what failed. The memory is given back by its owner, after this."""
        failed = [plan.close() for plan in self._plans.values()]
        self._plans.clear()
        return [text for text in failed if text]

    def _capture(self, context: TrtContext, batch: int) -> Graph | None:
        handle = self._streams.compute.handle
        try:
            graph = self._cuda.graphs.capture(handle, lambda: context.enqueue(handle))
        except CaptureError as error:
            log.warning("no CUDA graph for batches of %d, using plain enqueue instead: %s", batch, error)
            return None
        log.debug("CUDA graph for batches of %d", batch)
        return graph


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
            log.warning("the GPU did not free %s", text)

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
        except ArtifactError:
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
        """Make the plans of a new batch size: of all slots now, as later frames must allocate nothing."""
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
