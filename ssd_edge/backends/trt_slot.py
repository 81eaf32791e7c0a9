"""One place of the ring: the memory of one batch in flight, and how its inference is started."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.cuda import Cuda
from ssd_edge.backends.cuda_graph import CaptureError, Graph
from ssd_edge.backends.cuda_types import Stream
from ssd_edge.backends.trt_engine import CONTRACT, TYPES, TrtContext, TrtEngine
from ssd_edge.core.errors import DeviceError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph import INPUT_NAME, OUTPUT_NAMES

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Streams:
    """One queue a stage, so that the copies of one batch run beside the inference of another."""

    upload: Stream
    compute: Stream
    download: Stream


class Plan:
    """How a batch of one size is inferred: a CUDA graph, or TensorRT's own enqueue where that cannot be captured."""

    def __init__(self, context: TrtContext, graph: Graph | None) -> None:
        self._context, self._graph = context, graph

    def start(self, stream: Stream) -> None:
        """Put the inference on the stream.

        Raises:
            DeviceError: the driver or TensorRT refuses.
        """
        if self._graph is None:
            if not self._context.enqueue(stream.handle):
                raise DeviceError("TensorRT cannot run the engine", do="See: ssd-edge doctor")
            return
        try:
            self._graph.launch(stream.handle)
        except CaptureError as error:
            raise DeviceError("the CUDA graph cannot be started", got=str(error), do="See: ssd-edge doctor") from error

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
        """Tell whether a batch of this size can begin at once."""
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
            _log.warning("no CUDA graph for batches of %d, plain enqueue instead: %s", batch, error)
            return None
        _log.info("CUDA graph for batches of %d", batch)
        return graph
